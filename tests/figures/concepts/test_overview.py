"""Variants side by side: the numbers are those of their tables, and nothing is cut."""

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import derived_stamp
from reliance.failures.case_list import COLUMNS, KIND, beyond_chance, write_failures
from reliance.figures.concepts.overview import numbers
from reliance.figures.concepts.overview import overview as overview_

from ..component_examples import components_table, write_components
from ..curve_examples import curves_table, write_curves
from ..jobs import as_job
from ..pages import check_inside

overview = as_job(overview_)


def cases(q_values, reviewed="no"):
    rows = [(f"c{i}", 1, "spurious", "", i, "mined", i, 1.0, q, reviewed, "") for i, q in enumerate(q_values)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def files(folder, names, **kwargs):
    found = {"components": [], "failures": []}
    for i, name in enumerate(names):
        found["components"].append(
            write_components(folder / f"{name}.parquet", components_table(seed=i, **kwargs))
        )
        path = folder / f"{name}.tsv"
        write_failures(path, cases([0.01] * i + [0.5]), derived_stamp(KIND, 2, {"of": name}, {}))
        found["failures"].append(path)
    curves = write_curves(folder, {name: curves_table(seed=i) for i, name in enumerate(names)})
    return {**found, "faithfulness": curves["faithfulness"], "variants": names}


def test_numbers_are_those_of_the_tables(tmp_path, outputs, drawn_figure):
    names = ["early", "late"]
    overview(**files(tmp_path, names), sites=["block-0", "class_token"], **outputs)
    table = pd.read_csv(outputs["csv"]).set_index("variant")
    for i, name in enumerate(names):
        frame = components_table(seed=i)
        own = frame[frame["label"] != ""]
        assert table.loc[name, "unique"] == own["label"].nunique()
        assert table.loc[name, "clarity"] == pytest.approx(own["clarity"].median(), rel=1e-5)
        assert table.loc[name, "alignment_75"] == pytest.approx(own["alignment"].quantile(0.75), rel=1e-5)
        assert (table.loc[name, "cases"], table.loc[name, "beyond_chance"]) == (i + 1, i)
    check_inside(drawn_figure())
    assert "2 variants side by side" in outputs["caption"].read_text()


def test_the_gain_is_the_mean_difference_as_a_share_of_y():
    """By hand: act x grad leaves .4 and .2 of y, random .8 and .6: .4 less at two of three steps."""
    rows = []
    for method, ys in (("act_x_grad", (1.0, 0.4, 0.2)), ("random", (1.0, 0.8, 0.6))):
        for step, y in enumerate(ys):
            rows.append(("local_deletion", method, "frozen", True, step, 0, 0, 5, 2 * y, 0.1))
    columns = [
        "protocol",
        "method",
        "error_term",
        "restrict_to_active",
        "step",
        "class_id",
        "subset",
        "n",
        "y",
    ]
    curves = pd.DataFrame(rows, columns=[*columns, "y_std"])
    assert numbers(components_table(), curves, cases([]))["gain"] == pytest.approx(0.8 / 3)


def test_what_is_unknown_is_said(tmp_path, outputs, drawn):
    names = [f"a variant with a very long name indeed, number {i}" for i in range(12)]
    overview(**files(tmp_path, names, named=False), sites=["block-10-class"] * 12, **outputs)
    assert drawn().count("unknown") == 24  # clarity and alignment of each


def test_reviewed_cases_are_no_chance_findings():
    assert beyond_chance(cases([0.04, 0.06, np.nan])).to_list() == [True, False, False]
    assert beyond_chance(cases([0.9], reviewed="yes")).all()
