import pandas as pd
import pytest

from reliance.figures.faithfulness.fig8 import fig8 as fig8_

from ..curve_examples import curves_table, write_curves
from ..jobs import as_job
from ..pages import check_inside

fig8 = as_job(fig8_)


def test_one_variant_with_and_without_the_error(tmp_path, outputs, drawn_figure):
    frame = curves_table()
    fig8(**write_curves(tmp_path, {"demo": frame}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    assert set(numbers["protocol"]) == {"reference_deletion"}
    dropped = numbers[(numbers["error_term"] == "dropped") & (numbers["method"] == "logit_lens")]
    own = frame[(frame["protocol"] == "reference_deletion") & (frame["method"] == "logit_lens")]
    own = own[own["error_term"] == "dropped"].groupby("step")["y"].mean()
    assert dropped["y"].dropna().to_numpy() == pytest.approx(own.to_numpy(), rel=1e-5)
    figure = drawn_figure()
    assert len(figure.axes) == 2
    check_inside(figure)


def test_a_panel_per_variant(tmp_path, outputs, drawn_figure):
    names = [f"variant_with_a_long_name_nr_00{i}" for i in range(4)]
    paths = write_curves(tmp_path, {name: curves_table(i) for i, name in enumerate(names)})
    fig8(**paths, variants=names, skipped=["bare"], **outputs)
    figure = drawn_figure()
    assert len(figure.axes) == 4
    check_inside(figure)
    assert set(pd.read_csv(outputs["csv"])["error_term"]) == {"frozen"}


def test_caption_is_about_the_reference(tmp_path, outputs, drawn):
    fig8(**write_curves(tmp_path, {"demo": curves_table()}), variants=["demo"], **outputs)
    caption = outputs["caption"].read_text()
    assert "over 500 images drawn at random" in caption
    assert "30 test images of 2 classes" in caption
    assert "Logit Lens, which needs no reference" in caption
    assert "of the latents that fire on its images" in caption and "which no reference image knows" in caption
    assert "local deletion" not in caption


def test_same_input_same_bytes(tmp_path, outputs):
    paths = write_curves(tmp_path, {"demo": curves_table(subsets=1)})
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for files in (outputs, again):
        fig8(**paths, variants=["demo"], **files)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())
