"""Pictures of components that names fit badly, as usual and well, below Fig. 4."""

import pandas as pd
import pytest

from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.figures.concepts.examples import ACROSS, FITS, choose
from reliance.figures.concepts.fig4 import fig4 as fig4_

from ..component_examples import CODES, bases, components_table, write_bases
from ..jobs import as_job
from ..pages import check_inside
from ..pictures import HOSTILE, POOL, write_dataset

fig4 = as_job(fig4_)


def files(folder, tables, codes=CODES):
    """Arguments of fig4 with one variant and pictures: image (3 c + 5 r) of component c at rank r."""
    m = len(tables[0])
    rows = [(c, r, (3 * c + 5 * r) % POOL, 9.0 - r) for c in range(m) for r in range(ACROSS + 1)]
    top = pd.DataFrame(rows, columns=["component", "rank", "image_id", "activation"])
    write_table(folder / "top.parquet", top, TOP_SAMPLES, {}, {"codes": codes})
    index = write_dataset(folder, ["shark"])["index"]
    pictures = {"index": index, "dataset_root": str(folder / "images"), "top_samples": folder / "top.parquet"}
    return {**write_bases(folder, {"demo": tables}), **pictures, "variants": ["demo"]}


def test_the_components_are_those_at_the_quantiles():
    frame = components_table()
    ranked = frame["alignment"].dropna().sort_values().to_list()
    found = choose(frame)
    assert found["fits"].to_list() == list(FITS)
    assert found["alignment"].to_list() == [ranked[round(q * (len(ranked) - 1))] for q in FITS.values()]
    assert found["component"].map(frame.set_index("component")["label"]).equals(found["label"])


@pytest.mark.parametrize(("components", "shown"), [(0, []), (1, ["badly"]), (2, ["badly", "well"])])
def test_few_components_are_shown_once(components, shown):
    frame = components_table(named=True)
    few = frame[frame["label"] != ""].head(components)
    assert choose(few)["fits"].to_list() == shown


def test_the_strongest_images_stand_below(tmp_path, outputs, drawn_figure):
    tables = bases()
    fig4(**files(tmp_path, tables), **outputs)
    table = pd.read_csv(outputs["csv"])
    table = table[table["series"] == "example"]
    assert table["fits"].to_list() == [name for name in FITS for _ in range(ACROSS)]
    for component, part in table.groupby("component"):
        assert part["image_id"].to_list() == [(3 * component + 5 * r) % POOL for r in range(ACROSS)]
        assert part["drawn"].eq("yes").all()
    figure = drawn_figure()
    assert sum(len(axes.images) for axes in figure.axes) == len(FITS) * ACROSS
    check_inside(figure)
    assert "at the 5th, 50th and 95th percentile" in outputs["caption"].read_text()


def test_names_of_any_kind_stay_on_the_page(tmp_path, outputs, drawn_figure):
    tables = bases()
    frame = tables[0]
    frame["label"] = [HOSTILE[i % len(HOSTILE)] if label else "" for i, label in enumerate(frame["label"])]
    fig4(**files(tmp_path, tables), **outputs)
    check_inside(drawn_figure())


def test_an_image_that_is_gone_leaves_a_frame(tmp_path, outputs, drawn):
    arguments = files(tmp_path, bases())
    frame = choose(bases()[0])
    gone = (3 * int(frame["component"].iloc[0])) % POOL
    (tmp_path / "images" / f"train/x/{gone:03}.png").unlink()
    fig4(**arguments, **outputs)
    assert "missing" in drawn()


def test_top_samples_of_other_codes_are_refused(tmp_path, outputs):
    with pytest.raises(RelianceError, match="codes"):
        fig4(**files(tmp_path, bases(), codes="d" * 64), **outputs)
