import pandas as pd

from reliance.base.artifacts import write_table
from reliance.figures.repair.coverage import coverage as coverage_
from reliance.figures.repair.repairs import numbers_of
from reliance.figures.repair.repairs import repairs as repairs_
from reliance.images.tables import CLASSES
from reliance.repair.candidates import REPAIRS as KINDS
from reliance.repair.findings import closed, findings
from reliance.repair.schema import COVERAGE, REPAIRS

from ..jobs import as_job

repairs, coverage = as_job(repairs_), as_job(coverage_)


def frame(after: dict[str, float]) -> pd.DataFrame:
    """Three polysemous and three spurious cases with a gap of .4 before; `after` by repair and kind."""
    rows = []
    for kind in ("polysemous", "spurious"):
        for i in range(3):
            for repair in KINDS:
                spurious = after.get(f"{repair} {kind}", 0.5) + 0.01 * i
                row = {"case_id": f"{kind}{i}", "kind": kind, "repair": repair, "after_spurious": spurious}
                row["recommended"] = repair == "words" and spurious > 0.7
                rows.append({**row, "before_spurious": 0.5 + 0.01 * i, "halves": spurious > 0.7})
    table = pd.DataFrame(rows).assign(class_id=1, choice="", edit="{}", learned=True, harms=False)
    table = table.assign(before_valid=0.9, after_valid=0.9, before_top1=0.8, after_top1=0.79)
    for name, kind in REPAIRS.columns:
        if kind == "float64" and name not in table:
            table[name] = 0.01
    return table


GIVEN = {"words polysemous": 0.88, "unit_edit spurious": 0.52}


def test_findings_say_which_repair_serves_which_kind() -> None:
    found = {f.name: f.holds for f in findings(frame(GIVEN))}
    assert found["repair:words:polysemous"] is True
    assert found["repair:words:spurious"] is True  # that words do not repair backgrounds
    assert found["repair:unit_edit:spurious"] is False
    assert not any(name.endswith("compound") for name in found)
    assert closed(frame(GIVEN).iloc[:1]).round(3).tolist() == [0.95]


def test_numbers_are_means_over_cases() -> None:
    numbers = numbers_of(frame(GIVEN)).set_index(["kind", "repair"])
    assert numbers.loc[("polysemous", "before"), "spurious_auc"].round(3) == 0.51
    assert numbers.loc[("polysemous", "words"), "spurious_auc"].round(3) == 0.89
    assert numbers.loc[("spurious", "words"), "halved"] == 0


def test_the_figure_of_repairs(tmp_path, outputs, drawn) -> None:
    path = tmp_path / "repairs.parquet"
    write_table(path, frame(GIVEN), REPAIRS, {}, {})
    repairs(repairs=path, variants=["demo"], **outputs)
    assert {"words", "unit edit", "spurious AUC"} <= set(drawn())
    caption = outputs["caption"].read_text()
    assert "Of 6 cases, 3 have a repair" in caption and "does not hold" in caption


def test_the_figure_of_coverage(tmp_path, outputs, drawn) -> None:
    rows = [(2, 10, 4, 8, 0.1, 1, 0.4, 1), (5, 30, 0, 3, 0.0, 2, 0.0, 6)]
    path, classes = tmp_path / "coverage.parquet", tmp_path / "classes.parquet"
    write_table(path, pd.DataFrame(rows, columns=[n for n, _ in COVERAGE.columns]), COVERAGE, {}, {})
    known = pd.DataFrame({"class_id": [2, 5], "short_name": ["kite", "cow"]})
    write_table(classes, known.assign(folder="", full_name="", definition=""), CLASSES, {}, {})
    coverage(coverage=path, classes=classes, variants=["demo"], **outputs)
    assert {"kite", "cow"} <= set(drawn())
    caption = outputs["caption"].read_text()
    assert "Of 40 pairs" in caption and "28% are explained" in caption and "2% fall as low" in caption
    assert "3 more, 10% of those left, look like" in caption and "as 10% of as many" in caption
    assert "7 show a feature" in caption
    numbers = pd.read_csv(outputs["csv"])
    assert numbers["rest"].tolist() == [19, 0] and numbers["name"].tolist() == ["cow", "kite"]
