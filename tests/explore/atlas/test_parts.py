"""The parts that an atlas is made of, against obvious ways."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reliance.explore.atlas import chunks
from reliance.explore.atlas.build import opened
from reliance.explore.atlas.layout import SIDE, layout
from reliance.explore.atlas.neighbours import NEAR, by_direction, by_images
from reliance.explore.atlas.pictures import Shown, draw_sheet, examples_per_unit, side_of
from reliance.explore.atlas.places import place_of
from reliance.explore.unit import firing_beside
from reliance.figures.thumbnails import AS_STORED


@given(st.lists(st.floats(width=32), max_size=20))
def test_numbers_become_whole_ones_or_nothing(values):
    found = chunks.scaled([v if abs(v) < 1e9 else np.nan for v in values], 100)
    expected = [round(v * 100) if abs(v) < 1e9 else None for v in map(float, values)]
    assert [f is None for f in found] == [e is None for e in expected]
    assert all(abs(f - e) <= 1 for f, e in zip(found, expected, strict=True) if e is not None)


@given(st.text())
def test_any_text_is_ascii_json_in_a_chunk(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("chunk")
    chunks.write_chunk(folder, "a/0", {"text": text})
    said = (folder / "a/0.js").read_text(encoding="ascii")
    assert json.loads(said[len('take("a/0",') : -2]) == {"text": text}
    assert "\u2028" not in said


def test_a_number_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        chunks.write_chunk(tmp_path, "a", [float("nan")])


def test_records_are_found_by_their_number(tmp_path):
    chunks.write_chunks(tmp_path, "units", list(range(40)))
    size = chunks.SIZES["units"]
    assert len(list((tmp_path / "units").iterdir())) == 3
    assert f"[{size}," in (tmp_path / "units/1.js").read_text()


def test_alike_units_stand_together_and_the_map_is_always_the_same():
    g = np.random.default_rng(0)
    group = np.repeat(np.arange(4), 30)
    vectors = np.eye(16)[4 * group] * 5 + g.normal(size=(120, 16))
    places = layout(vectors)
    assert places.min() >= 0
    assert places.max() <= SIDE
    assert (layout(vectors) == places).all()
    assert (layout(3 * vectors) == places).all()  # lengths do not count
    far = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(120, np.inf))
    assert (group[far.argmin(1)] == group).mean() > 0.95


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_a_few_units_have_places_too(count):
    places = layout(np.random.default_rng(0).normal(size=(count, 6)))
    assert places.shape == (count, 2)
    assert ((places >= 0) & (places <= SIDE)).all()


def test_neighbours_by_direction_are_the_largest_cosines():
    vectors = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    units = np.array([3, 5, 8, 11, 12, 20, 21, 22, 25, 29, 0])
    found = by_direction(vectors, units)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row, own in enumerate(units):
        others = [u for u in units if u != own]
        best = sorted(others, key=lambda u: -(unit[u] @ unit[own]))
        assert found.unit[row].tolist() == best[:NEAR]
        assert found.value[row] == pytest.approx([unit[u] @ unit[own] for u in best[:NEAR]], abs=1e-6)


def test_neighbours_by_images_are_those_of_a_card(made):
    shelf = opened(made.files, "made")
    firing = np.flatnonzero(shelf.components["n_active"] > 0)
    usual = shelf.components["firing_rate"].to_numpy()
    found = by_images(shelf.top_samples, shelf.codes("train"), usual, firing)
    for row in range(0, len(firing), 13):
        expected = firing_beside(shelf, int(firing[row]), NEAR)
        kept = found.unit[row] >= 0
        above = found.value[row][kept] - usual[found.unit[row][kept]]  # of equal ones the last may be another
        assert above == pytest.approx([near.score - near.usual for near in expected], abs=1e-6)
        assert found.unit[row][kept][:4].tolist() == [near.component for near in expected][:4]


def test_an_image_is_shown_once():
    shown = Shown()
    assert [shown.number(*key) for key in (("train", 5), ("test", 5), ("train", 5))] == [0, 1, 0]
    assert shown.frame().to_numpy().tolist() == [["train", 5], ["test", 5]]


def test_examples_and_sizes_fit_what_there_is():
    assert examples_per_unit(500) == 16
    assert examples_per_unit(30_000) == 5
    assert side_of(3_000) > side_of(30_000) > side_of(200_000)


def test_a_sheet_has_pictures_in_order_and_crosses(tmp_path):
    for name, color in (("a.png", (250, 0, 0)), ("b.png", (0, 0, 250))):
        Image.new("RGB", (30, 20), color).save(tmp_path / name)
    sizes = [(tmp_path / n).stat().st_size for n in ("a.png", "b.png")]
    table = pd.DataFrame(
        {"path": ["a.png", "gone.png", "b.png", "a.png"], "bytes": [sizes[0], 9, sizes[1], 1]}
    )
    drawn, sheet = draw_sheet(table.to_dict("records"), tmp_path, AS_STORED, 16)
    assert drawn == [1, 0, 1, 0]  # the last is another file than the one that was indexed
    assert sheet.size == (128, 16)
    assert sheet.getpixel((8, 8)) == (250, 0, 0)
    assert sheet.getpixel((40, 8)) == (0, 0, 250)


def test_a_patch_is_a_place_in_the_picture_or_nothing():
    rows = pd.DataFrame({"left": [0.25, np.nan], "top": 0.0, "right": 0.5, "bottom": 1 / 3})
    assert [place_of(row) for row in rows.itertuples()] == [[[250, 0, 500, 333]], []]
    assert place_of(pd.Series({"image_id": 3})) == []
