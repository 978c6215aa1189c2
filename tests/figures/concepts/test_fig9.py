import itertools

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import write_table
from reliance.concepts.findings import clarity_findings
from reliance.figures.canvas import Canvas
from reliance.figures.concepts.fig9 import fig9 as fig9_
from reliance.figures.concepts.scatter import MANY, Cloud, draw_cloud
from reliance.naming.table import COMPONENTS

from ..component_examples import components_table, write_components
from ..jobs import as_job
from ..pages import check_inside

fig9 = as_job(fig9_)


def write_all(folder, frames):
    return [write_components(folder / f"{name}.parquet", frame) for name, frame in frames.items()]


def test_correlations_and_points_are_the_tables(tmp_path, outputs, drawn):
    frame = components_table()
    fig9(components=write_all(tmp_path, {"demo": frame}), variants=["demo"], **outputs)
    known = frame[frame["clarity"].notna()]
    numbers = pd.read_csv(outputs["csv"])
    found = numbers[numbers["measure"].notna()].set_index("measure")
    texts = drawn()
    for column, change in (("top5_mean", lambda x: x), ("mean", np.log10), ("n_active", np.log10)):
        r = np.corrcoef(change(known[column]), known["clarity"])[0, 1]
        assert found.loc[column, "r"] == pytest.approx(r, rel=1e-4)
        assert found.loc[column, "n"] == len(known)
        assert f"r = {r:.2f}".replace("-", "−") in texts
    points = numbers[numbers["component"].notna()]
    assert points["component"].to_list() == known["component"].to_list()
    assert points["mean"].to_numpy() == pytest.approx(known["mean"].to_numpy(), rel=1e-5)


def test_caption_states_the_numbers(tmp_path, outputs, drawn):
    frame = components_table()
    fig9(components=write_all(tmp_path, {"demo": frame}), variants=["demo"], skipped=["bare"], **outputs)
    caption = outputs["caption"].read_text()
    n = int(frame["clarity"].notna().sum())
    assert f"{n} components that fire often enough to have a clarity, of 80" in caption
    assert "Left out, without an SAE: bare." in caption
    assert "clarity rises with the mean of the five strongest activations: **holds**" in caption.lower()


def test_the_strongest_correlation(tmp_path):
    verdicts = {f.name: f.holds for f in clarity_findings(components_table(400))}
    assert verdicts["positive:top5_mean"] is True
    assert verdicts["strongest"] is True
    swapped = components_table(400).assign(n_active=lambda f: np.exp(f["top5_mean"]), top5_mean=1.0)
    swapped["top5_mean"] += np.random.default_rng(0).random(400)
    assert {f.name: f.holds for f in clarity_findings(swapped)}["strongest"] is False


def test_a_row_per_variant(tmp_path, outputs, drawn_figure):
    names = [f"variant_with_a_long_name_nr_00{i}" for i in range(3)]
    frames = {name: components_table(2 * MANY if i == 0 else 80, i) for i, name in enumerate(names)}
    paths = write_all(tmp_path, frames)
    fig9(components=paths, variants=names, random_weights=[i == 1 for i in range(3)], **outputs)
    figure = drawn_figure()
    assert len(figure.axes) == 9
    check_inside(figure)
    assert "Random weights: variant_with_a_long_name_nr_001" in outputs["caption"].read_text()


@pytest.mark.parametrize("rows", [0, 1])
def test_no_clarity_and_a_single_one(tmp_path, outputs, drawn_figure, rows):
    frame = components_table()
    frame.loc[frame.index[frame["clarity"].notna()][rows:], ["clarity", "label"]] = [np.nan, ""]
    fig9(components=write_all(tmp_path, {"few": frame}), variants=["few"], **outputs)
    check_inside(drawn_figure())
    assert "**undecided**" in outputs["caption"].read_text()


def test_same_input_same_bytes(tmp_path, outputs):
    paths = write_all(tmp_path, {"demo": components_table()})
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for files in (outputs, again):
        fig9(components=paths, variants=["demo"], **files)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())


def test_empty_axes_say_why(tmp_path, outputs, drawn):
    frame = components_table().assign(clarity=np.nan, label="", n_active=7)
    (path,) = write_all(tmp_path, {"few": frame})
    write_table(path, frame, COMPONENTS, {"min_active": 18}, {})
    fig9(components=[path], variants=["few"], **outputs)
    assert drawn().count("no component fires on\n18 test images") == 3
    caption = outputs["caption"].read_text()
    assert "from 18 test images on which it fires (naming.min_active), and the most that one" in caption
    assert "unknown" not in caption and "too few for r" in caption


def test_three_points_have_no_r(tmp_path, outputs, drawn):
    frame = components_table()
    frame.loc[frame.index[frame["clarity"].notna()][3:], ["clarity", "label"]] = [np.nan, ""]
    fig9(components=write_all(tmp_path, {"few": frame}), variants=["few"], **outputs)
    assert drawn().count("too few for r") == 3
    assert not any(text.startswith("r =") for text in drawn())


@pytest.mark.parametrize("ends", [(0.35, 0.38), (2, 2), (0.9, 1.1), (1, 4), (3, 90), (1e-4, 1)])
def test_numbers_of_a_logarithmic_axis_do_not_overlap(ends):
    x = np.geomspace(*ends, 5)
    canvas = Canvas(6.0, 2.0)
    draw_cloud(canvas, Cloud("", "", x, x, "x", True), (1.0, 0.2), (1.6, 1.0), first=True)
    canvas.figure.draw_without_rendering()
    (axes,) = canvas.figure.axes
    low, high = axes.get_xlim()
    boxes = [
        text.get_window_extent()
        for place, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert boxes
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(sorted(boxes, key=lambda box: box.x0)))
