"""The paper's numbers beside a variant's: what has a counterpart, and how far apart they are."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reliance.report import paper
from reliance.report.page import paper_shown


def study(variant="mine", **tables):
    robustness = pd.DataFrame(
        [
            {
                "section": "found",
                "kind": "compound",
                "mode": "",
                "variant": variant,
                "source": "mined",
                "failure_id": str(i),
                "probe": probe,
                "spurious_auc": area,
                "valid_auc": 0.9,
            }
            for i in range(2)
            for probe, area in (("short", 0.6), ("both", 0.66 + i * 0.02))
        ]
    )
    failures = pd.DataFrame({"kind": ["compound", "compound", "other"]})
    found = {"robustness": robustness, "failures": failures, **tables}
    return SimpleNamespace(variant=variant, has=lambda name: name in found, **found)


def audit(names=("melanoma", "not melanoma")):
    drops = {
        "plain": {"positive": {"drop": 0.2, "sem": 0.03}},
        "robust": {"positive": {"drop": 0.05, "sem": 0.02}},
    }
    rows = [
        {"probe": "plain", "positive": positive, "change": change, "accuracy": 0.8, "sem": 0.018}
        for positive in (True, False)
        for change in ("none", "increased")
    ]
    about = {"drops": drops, "share": 5.5, "n_fit": [40, 60], "names": list(names)}
    return {"audit": about, "audit_accuracies": pd.DataFrame(rows)}


def components():
    frame = pd.DataFrame({"label": ["a", "b", "a", ""], "clarity": [0.1, 0.2, 0.4, np.nan]})
    return frame.assign(top20_mean=[1.0, 2.0, 3.0, 0.0])


def test_a_variant_that_the_paper_lacks_has_no_same_setting():
    frame = paper.compared(study()).set_index("statement")
    assert set(frame["same"]) == {"no"}
    assert frame.loc["failure cases, over", "here"] == 3
    assert frame.loc["cases: compound", ["paper", "here"]].tolist() == [78, 2]
    row = frame.loc["change of spurious AUC by both: compound"]
    assert row["here"] == pytest.approx(0.07)
    assert row["here_error"] == pytest.approx(0.01)  # std(ddof=1) / sqrt(2) of .06 and .08
    assert row["difference_in_errors"] == pytest.approx(0.015 / np.hypot(0.021, 0.01))
    assert np.isnan(frame.loc["analysable latents", "here"])
    assert np.isnan(frame.loc["artefacts of Neuhaus et al.", "here"])


def test_the_papers_variants_are_held_against_their_own_numbers():
    frame = paper.compared(study("vit_l14", components=components(), pca=components()))
    same = frame[frame["same"] == "yes"].set_index("statement")
    assert same.loc["analysable latents", ["paper", "here"]].tolist() == [17455, 3]
    assert same.loc["unique labels of the SAE", "here"] == 2
    assert same.loc["correlation of clarity and activation", "here"] == pytest.approx(0.981981)
    assert "cases: compound" not in same.index
    assert "yes" not in set(paper.compared(study("vit_l14.n20"))["same"]), "a rehearsal is another setting"


def test_an_audit_is_held_against_the_melanoma_study():
    frame = paper.compared(study("whylesion", **audit())).set_index("statement")
    row = frame.loc["fall of melanoma accuracy, plain probe, in %"]
    assert row[["paper", "here"]].tolist() == pytest.approx([20.6, 20])
    assert row["difference_in_errors"] == pytest.approx(-0.6 / np.hypot(2.1, 3))
    assert frame.loc["melanomas that the probe learns from", "here"] == 40
    assert frame.loc["melanoma accuracy, in %", "here"] == pytest.approx(80)


def test_dogs_and_cats_have_no_number_of_melanomas():
    frame = paper.compared(study("pets", **audit(("dog", "cat like")))).set_index("statement")
    assert frame.loc[frame["where"].isin(["5.4", "App. E"]), "here"].isna().all()
    drawn = paper.compared(study("demo_lesions", **audit(("melanoma", "naevus")))).set_index("statement")
    assert drawn.loc["melanoma accuracy, in %", "here"] == pytest.approx(80)


def test_every_number_of_the_text_is_there_once():
    statements = [stated.words for stated in paper.STATED]
    assert len(statements) == len(set(statements))
    values = {stated.paper.value for stated in paper.STATED}
    assert values >= {17455, 0.75, 5363, 500, 20, 76, 78, 21, 57, 4.9, 2.8, 80.5, 59.9, 68.1, 82.8}
    assert values >= {20.6, 5.1, 3629}
    assert sum(stated.where == "Table 1" for stated in paper.STATED) == 12


def test_the_page_shows_what_has_a_counterpart(tmp_path):
    frame = paper.compared(study())
    frame.to_csv(tmp_path / "paper.csv", index=False)
    shown = paper_shown(tmp_path / "paper.csv")
    assert shown["paper_same"] is False
    assert all(row[4] for row in shown["paper"].rows)
    assert len(shown["paper"].rows) < len(frame)
    cells = {cell for row in shown["paper"].rows for cell in row[2:7] if cell}
    assert all(len(cell.lstrip("-0.").replace(".", "")) <= 3 for cell in cells if abs(float(cell)) < 1000)
