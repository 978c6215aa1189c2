import pandas as pd
import pytest

from reliance.figures.faithfulness.fig7 import fig7 as fig7_

from ..curve_examples import curves_table, write_curves
from ..jobs import as_job
from ..pages import check_inside

fig7 = as_job(fig7_)


def test_one_variant_in_detail(tmp_path, outputs, drawn):
    fig7(**write_curves(tmp_path, {"demo": curves_table()}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    assert set(numbers["error_term"]) == {"frozen", "dropped"}
    assert {"ablation", "greedy"} <= set(numbers["method"])
    free = numbers[~numbers["restrict_to_active"] & (numbers["protocol"] == "local_deletion")]
    assert set(free["method"]) == {"logit_lens", "random"}
    texts = drawn()
    assert {"Reconstruction error kept", "Reconstruction only", "Logit Lens, all latents"} <= set(texts)
    assert "0.7 % and 3.2 % (reconstruction only)" in outputs["caption"].read_text()


def test_bands_are_over_images(tmp_path, outputs, drawn_figure):
    fig7(**write_curves(tmp_path, {"demo": curves_table()}), variants=["demo"], **outputs)
    numbers = pd.read_csv(outputs["csv"])
    frozen = numbers[(numbers["protocol"] == "local_deletion") & (numbers["error_term"] == "frozen")]
    first = frozen[(frozen["method"] == "act_x_grad") & frozen["step"].notna()]
    band = drawn_figure().axes[0].collections[0].get_paths()[0].get_extents()
    assert band.y1 == pytest.approx(100 * (first["y"] + first["sem_samples"]).max(), rel=1e-4)
    assert band.y0 == pytest.approx(100 * (first["y"] - first["sem_samples"]).min(), rel=1e-4)
    assert first["sem_samples"].to_numpy() != pytest.approx(first["sem_subsets"].to_numpy(), rel=0.05)


def test_a_row_per_variant(tmp_path, outputs, drawn_figure):
    names = [f"variant_with_a_long_name_nr_00{i}" for i in range(3)]
    paths = write_curves(tmp_path, {name: curves_table(i) for i, name in enumerate(names)})
    fig7(**paths, variants=names, random_weights=[i == 1 for i in range(3)], **outputs)
    figure = drawn_figure()
    assert len(figure.axes) == 9
    check_inside(figure)
    numbers = pd.read_csv(outputs["csv"])
    assert list(numbers["variant"].unique()) == names
    assert set(numbers["error_term"]) == {"frozen"} and "ablation" in set(numbers["method"])
    caption = outputs["caption"].read_text()
    assert f"for {names[2]} in local deletion" in caption
    assert "Random weights: variant_with_a_long_name_nr_001" in caption


def test_one_image_and_negative_outputs(tmp_path, outputs, drawn_figure):
    frame = curves_table(y=-0.3, subsets=1, images=1, steps=1, classes=1)
    fig7(**write_curves(tmp_path, {"one": frame}), variants=["one"], **outputs)
    check_inside(drawn_figure())


def test_same_input_same_bytes(tmp_path, outputs):
    paths = write_curves(tmp_path, {"demo": curves_table(steps=2, subsets=2)})
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for files in (outputs, again):
        fig7(**paths, variants=["demo"], **files)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())
