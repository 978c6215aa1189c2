import numpy as np
import pytest

from reliance.planted import drawn, render, scenes
from reliance.planted.masks import masks, mass_inside


@pytest.fixture(scope="module")
def objects():
    return drawn.Objects(20)


def test_masks_name_the_pixels_that_change_with_what_is_drawn(objects):
    found = masks(objects, 3, 40, test=True)
    rows = scenes.labelled(objects.world, 3, 40, test=True)
    whole = render.render(objects.bank, rows, 3, scenes.TEST).astype(int)
    bare = render.render(objects.bank, rows._replace(drawn=rows.drawn & False), 3, scenes.TEST).astype(int)
    moved = np.abs(whole - bare).max(1) > 0
    assert (moved | ~found["object"]).mean() > 0.99  # a white rim on a white ground moves nothing
    assert not (moved & found["word"]).any()
    assert (moved & ~_grown(found["object"])).mean() < 0.001  # strokes too thin to hide what is behind them
    assert (found["word"][rows.word >= 0].sum((1, 2)) == 12 * 48).all()
    assert not found["word"][rows.word < 0].any()


def _grown(mask):
    """The mask with the soft edge of the rim."""
    out = mask.copy()
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            out |= np.roll(mask, (dy, dx), (1, 2))
    return out


def test_a_pixel_shows_one_thing_and_a_band_is_all_there_is_of_its_background(objects):
    found = masks(objects, 3, 40, test=False)
    rows = scenes.labelled(objects.world, 3, 40, test=False)
    count = sum(mask.astype(int) for mask in found.values())
    assert count.max() == 1
    assert (count[~rows.band] == 1).all()
    assert rows.band.any()
    assert not found["background"][rows.band][:, : 48 - 15].any()
    assert found["background"][rows.band][:, -1].any()


def test_mass_inside_is_a_share():
    weights = np.zeros((2, 2, 2))
    weights[0] = [[3, 1], [0, 0]]
    inside = mass_inside(weights, np.array([[[True, False], [True, False]]] * 2))
    assert inside[0] == 0.75 and np.isnan(inside[1])
