import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import read_json
from reliance.base.errors import RelianceError
from reliance.faithfulness.schema import CLASS_ORDERS
from reliance.figures.faithfulness.fig3 import fig3 as fig3_

from ..curve_examples import curves_table, write_curves
from ..jobs import as_job
from ..pages import check_inside

fig3 = as_job(fig3_)


def test_numbers_are_those_of_the_table(tmp_path, outputs, drawn):
    frame = curves_table()
    fig3(**write_curves(tmp_path, {"demo": frame}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    key = (frame["protocol"] == "global_deletion") & (frame["method"] == "energy")
    own = frame[key & (frame["error_term"] == "frozen")]
    shown = numbers[(numbers["protocol"] == "global_deletion") & (numbers["method"] == "energy")]
    steps = shown[shown["step"].notna()].set_index("step")
    assert steps["y"].to_numpy() == pytest.approx(own.groupby("step")["y"].mean().to_numpy(), rel=1e-5)
    sem = own.groupby(["step", "subset"])["y"].mean().groupby("step").std(ddof=1) / np.sqrt(3)
    assert steps["sem_subsets"].to_numpy() == pytest.approx(sem.to_numpy(), rel=1e-5)
    mean = shown[shown["step"].isna()].iloc[0]
    assert mean["mean_y"] == pytest.approx(own["y"].mean(), rel=1e-5)
    by_subset = own.groupby("subset")["y"].mean()
    assert mean["sem"] == pytest.approx(by_subset.std(ddof=1) / np.sqrt(3), rel=1e-5)
    assert f"{100 * mean['mean_y']:.2f} ± {100 * mean['sem']:.2f}" in drawn()


def test_three_panels_of_all_methods(tmp_path, outputs, drawn):
    fig3(**write_curves(tmp_path, {"demo": curves_table()}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    assert set(numbers["protocol"]) == {"local_deletion", "global_deletion", "local_insertion"}
    assert set(numbers["error_term"]) == {"frozen"}
    local = numbers[numbers["protocol"] != "global_deletion"]
    assert local["restrict_to_active"].all()
    texts = drawn()
    assert texts.count("Act × Grad") == texts.count("Leave one out") == 3
    assert texts.count("Greedy (oracle)") == 2
    assert "mean y ± SEM (%)" in texts


def test_drawn_curves_are_the_numbers(tmp_path, outputs, drawn_figure):
    fig3(**write_curves(tmp_path, {"demo": curves_table()}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    insertion = numbers[(numbers["protocol"] == "local_insertion") & numbers["step"].notna()]
    lines = drawn_figure().axes[2].get_lines()
    for method, line in zip(insertion["method"].unique(), lines, strict=True):
        y = insertion.loc[insertion["method"] == method, "y"].to_numpy()
        assert line.get_ydata() == pytest.approx(100 * y, rel=1e-4)


def test_same_input_same_bytes(tmp_path, outputs):
    paths = write_curves(tmp_path, {"demo": curves_table()})
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for files in (outputs, again):
        fig3(**paths, variants=["demo"], **files)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())
    ids = [read_json(f"{path}.meta.json", "fig3", 1)[1].inputs for path in outputs.values()]
    assert all(found == ids[0] and set(found) == {"demo", "demo.summary"} for found in ids)


def test_caption_says_what_was_measured(tmp_path, outputs, drawn):
    fig3(**write_curves(tmp_path, {"demo": curves_table()}), variants=["demo"], skipped=["bare"], **outputs)
    caption = outputs["caption"].read_text()
    assert "30 test images of 2 classes, on average 60.0 active latents" in caption
    assert "over 3 disjoint subsets" in caption
    assert "gap to completeness 0.7 %" in caption
    assert "Left out, without an SAE: bare." in caption
    assert "used up" not in caption
    assert "- Act x grad is at least as faithful" in caption
    assert "paired over classes" in caption
    assert f"mean over {CLASS_ORDERS} orders per class of the latents that fire" in caption
    assert "random reference" not in caption


def test_few_active_latents_are_said(tmp_path, outputs, drawn):
    paths = write_curves(tmp_path, {"demo": curves_table()}, mean_active=2.5)
    fig3(**paths, variants=["demo"], **outputs)
    assert "Local curves end, or orders meet" in outputs["caption"].read_text()


def test_one_image_has_no_error(tmp_path, outputs, drawn):
    paths = write_curves(tmp_path, {"one": curves_table(subsets=1, images=1, rate=0, classes=1)})
    fig3(**paths, variants=["one"], random_weights=[True], **outputs)
    texts = drawn()
    assert "one (random weights)" in texts
    assert not any("±" in text for text in texts)
    assert "25.00" in texts
    assert "all orders are equal at every step" in outputs["caption"].read_text()


def test_an_unknown_gap_to_completeness_is_said(tmp_path, outputs, drawn):
    paths = write_curves(tmp_path, {"demo": curves_table()}, completeness=(None, None))
    fig3(**paths, variants=["demo"], **outputs)
    assert "gap to completeness not known." in outputs["caption"].read_text()


def test_a_summary_of_another_run_is_refused(tmp_path, outputs):
    first = write_curves(tmp_path, {"a": curves_table()})
    second = write_curves(tmp_path, {"b": curves_table()})
    with pytest.raises(RelianceError, match="codes"):
        fig3(faithfulness=first["faithfulness"], summary=second["summary"], variants=["a"], **outputs)


@pytest.mark.parametrize("y", [0.25, -0.3])
def test_nothing_is_cut_or_overlaps(tmp_path, outputs, drawn_figure, y):
    fig3(**write_curves(tmp_path, {"a" * 30: curves_table(y=y)}), variants=["a" * 30], **outputs)
    check_inside(drawn_figure())
