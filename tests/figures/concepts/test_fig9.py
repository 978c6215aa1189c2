import numpy as np
import pandas as pd
import pytest

from reliance.concepts.findings import clarity_findings
from reliance.figures.concepts.fig9 import fig9 as fig9_
from reliance.figures.concepts.scatter import MANY

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
