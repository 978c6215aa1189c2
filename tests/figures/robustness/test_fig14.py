import numpy as np
import pandas as pd
import pytest

from reliance.figures.robustness.fig14 import fig14 as fig14_
from reliance.robustness.summary import PROBES

from ..examples import ALL_KINDS, PLANTS, table_of
from ..jobs import as_job

fig14 = as_job(fig14_)


def test_every_prompt_set_every_case_every_error(write, outputs, drawn):
    frame = table_of({**ALL_KINDS, "typography": 1}, PLANTS)
    fig14(robustness=write({"demo": frame}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    assert set(numbers["probe"]) == set(PROBES)
    cases = numbers[numbers["failure_id"].notna()]
    assert len(cases) == len(frame)
    means = numbers[numbers["failure_id"].isna() & (numbers["section"] == "found")].set_index(
        ["kind", "probe"]
    )
    assert means.loc[("typography", "short"), "error"] == "DeLong"
    assert means.loc[("typography", "short"), "spurious_error"] == pytest.approx(0.03)
    own = frame[
        (frame["kind"] == "compound") & (frame["source"] == "mined") & (frame["probe"] == "templated")
    ]
    sem = own["spurious_auc"].std(ddof=1) / np.sqrt(len(own))
    assert means.loc[("compound", "templated"), "spurious_error"] == pytest.approx(sem, rel=1e-5)


def test_a_single_case_names_its_error_bar(write, outputs, drawn):
    fig14(robustness=write({"demo": table_of({"compound": 1})}), variants=["demo"], **outputs)
    assert "1 case, bar: DeLong" in drawn()


def test_rows_of_one_model_are_labelled_by_probe(write, outputs, drawn):
    fig14(robustness=write({"demo": table_of(ALL_KINDS)}), variants=["demo"], **outputs)
    assert {"text: short name", "text: templates", "text: full name", "linear probe"} <= set(drawn())
    assert "Figure 14" in outputs["caption"].read_text()


def test_a_case_without_distractors_is_left_out(write, outputs, drawn):
    frame = table_of({"compound": 3})
    frame.loc[frame["failure_id"] == "compound-0", ["spurious_auc", "spurious_se"]] = np.nan
    fig14(robustness=write({"demo": frame}), variants=["demo"], **outputs)
    assert "2 cases" in drawn()
    assert "1 of 3 cases" in outputs["caption"].read_text()


def test_cases_that_cannot_be_used_are_not_called_absent(write, outputs, drawn):
    frame = table_of({"compound": 2})
    frame["spurious_auc"] = np.nan
    fig14(robustness=write({"demo": frame}), variants=["demo"], **outputs)
    assert drawn().count("no usable case") == 1
    assert drawn().count("no case found") == 3
    assert "2 of 2 cases" in outputs["caption"].read_text()
