import pandas as pd

from reliance.base.artifacts import write_table
from reliance.figures.failures.persisting import bars_of, numbers_of
from reliance.figures.failures.persisting import persisting as persisting_
from reliance.matching.persistence import OUTCOMES, PERSISTENCE

from ..jobs import as_job

persisting = as_job(persisting_)


def frame() -> pd.DataFrame:
    rows = [("a", "b", outcome) for outcome in ("persists", "persists", "gone")]
    rows += [("b", "a", outcome) for outcome in ("persists", "persists", "unseen", "elsewhere")]
    table = pd.DataFrame(rows, columns=["variant", "other", "outcome"])
    table["failure_id"] = [f"c{i}" for i in range(len(table))]
    return table.assign(kind="other", class_id=0, component=0, match=-1, correlation=0.0, other_failure="")


def test_bars_count_every_case() -> None:
    bars = bars_of(numbers_of(frame()))
    assert [bar.label for bar in bars] == ["a in b", "b in a"]
    assert [bar.counts for bar in bars] == [[2, 0, 1, 0], [2, 1, 0, 1]]
    assert len(OUTCOMES) == 4


def test_the_figure_says_what_persists(tmp_path, outputs, drawn) -> None:
    path = tmp_path / "p.parquet"
    write_table(path, frame(), PERSISTENCE, {}, {})
    persisting(persistence=path, variants=["a", "b"], skipped=["bare"], **outputs)
    assert {"a in b", "b in a", "2", "1"} <= set(drawn())
    caption = outputs["caption"].read_text()
    assert "Of 3 cases of a, 2 persist in b and 1 are its alone." in caption
    assert "without failure cases of their own units: bare" in caption
    assert pd.read_csv(outputs["csv"])["cases"].sum() == 7


def test_no_cases_at_all(tmp_path, outputs) -> None:
    path = tmp_path / "p.parquet"
    write_table(path, frame().iloc[:0], PERSISTENCE, {}, {})
    persisting(persistence=path, variants=["a", "b"], **outputs)
    assert outputs["png"].stat().st_size > 0
