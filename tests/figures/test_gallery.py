import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reliance.base.artifacts import derived_stamp
from reliance.figures import style
from reliance.figures.gallery import (
    DPI,
    Cell,
    Grid,
    Run,
    Section,
    cut,
    draw_gallery,
    fit,
    harmless,
    look,
    width_of,
)
from reliance.figures.sheet import write_figure
from reliance.figures.thumbnails import DRAWN, MISSING, Thumbnail

from .pictures import HOSTILE

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # not every letter is in the font
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT, width=st.floats(0, 400), size=st.sampled_from([5.8, 6.5]), bold=st.booleans())
def test_a_cut_text_is_the_longest_beginning_that_fits(text, width, size, bold):
    text = harmless(text)
    short = cut(text, width, size, bold)
    assert width_of(short, size, bold) <= width
    if short == text:
        return
    assert width_of(text, size, bold) > width
    assert short == "" or (short.endswith("…") and text.startswith(short[:-1]))
    if text.isascii():
        longer = f"{text[: len(short)].rstrip()}…"
        assert width_of(longer, size, bold) > width or longer == short


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=4), width=st.floats(0, 300))
def test_runs_stand_after_each_other_within_the_width(texts, width):
    placed = fit([Run(f"{text}  ") for text in texts], width, 6.5)
    ends = [left + width_of(run.text, 6.5) for run, left in placed]
    assert all(end <= width + 1e-6 for end in ends)
    assert all(left >= end for end, (_, left) in zip(ends, placed[1:], strict=False))


def test_a_long_prompt_leaves_room_for_the_number_of_the_latent():
    runs = [Run("“" + "W" * 5000 + "”  ", bold=True, most=0.6), Run("#30001  "), Run("label")]
    placed = fit(runs, 700, 6.5)
    assert [run.text for run, _ in placed[1:]] == ["#30001", "label"]
    assert placed[0][0].text.endswith("W…")
    assert placed[1][1] > width_of(placed[0][0].text, 6.5, bold=True) + 5


@pytest.mark.parametrize("text", HOSTILE)
def test_harmless_text_is_one_printable_line_without_piles(text):
    clean = harmless(text)
    assert clean.isprintable() and len(clean) <= 2600
    assert "\u0301\u0302" not in clean and "\u202e" not in clean


def page(cells, title="demo", **grid):
    sections = [Section("Header", "note", style.MUTED, cells, "nothing"), Section("B", "", "red", [], "none")]
    with look():
        return draw_gallery(sections, Grid(**({"beside": 1, "columns": 2, "across": 3} | grid)), title)


def texts_of(figure):
    return [t for t in figure.findobj(lambda o: hasattr(o, "get_text")) if t.get_text() and t.get_visible()]


def test_no_text_leaves_its_cell_and_none_overlaps_another():
    pictures = [Thumbnail(np.zeros((88, 88, 3), np.uint8), DRAWN), Thumbnail(None, MISSING)]
    cells = [
        Cell([[Run(f"“{t}” ", bold=True, most=0.6), Run("#1 "), Run(t)], [Run(t)]], pictures, mark="black")
        for t in HOSTILE
    ]
    figure = page(cells, title=HOSTILE[0] * 3)
    with look():
        figure.draw_without_rendering()
        boxes = [t.get_window_extent() for t in texts_of(figure)]
    grid = Grid(1, 2, 3)
    middle = 11 + grid.width
    for i, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        if box.y1 < figure.bbox.y1 - 100:  # below title and header
            assert box.x1 <= middle + 1 or box.x0 > middle
        for other in boxes[:i]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 1 or down <= 6, (box, other)  # boxes have room for the tallest letter


def test_thumbnails_are_copied_to_the_preview_pixel_by_pixel(tmp_path):
    rng = np.random.default_rng(0)
    grid = Grid(1, 2, 3)
    tiles = [rng.integers(0, 256, (grid.side, grid.side, 3), np.uint8) for _ in range(5)]
    cells = [
        Cell([[Run("a")]], [Thumbnail(t, DRAWN) for t in tiles]),
        Cell([[Run("b")]], [Thumbnail(tiles[0], DRAWN)]),
    ]
    with look():
        write_figure(page(cells), tmp_path / "a.png", derived_stamp("x", 1, {}, {}))
    preview = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    windows = np.lib.stride_tricks.sliding_window_view(preview[:, :, 0], (grid.side, grid.side))
    for tile, count in zip(tiles, (2, 1, 1, 1, 1), strict=True):
        first = (windows[:, :, 0, 0] == tile[0, 0, 0]) & (windows[:, :, -1, -1] == tile[-1, -1, 0])
        places = [
            (y, x)
            for y, x in zip(*np.nonzero(first), strict=True)
            if (preview[y : y + grid.side, x : x + grid.side] == tile).all()
        ]
        assert len(places) == count


def test_the_page_is_as_wide_as_the_text_and_says_what_is_empty():
    figure = page([])
    assert figure.get_size_inches()[0] * DPI == pytest.approx(round(style.PAGE * DPI))
    assert {"nothing", "none", "demo"} <= {t.get_text() for t in texts_of(figure)}


@pytest.mark.parametrize(("columns", "across", "side"), [(2, 8, 88), (2, 1, 88), (2, 50, 12), (3, 6, 74)])
def test_thumbnails_fit_their_cell(columns, across, side):
    grid = Grid(1, columns, across)
    assert grid.side == side
    assert across * (grid.side + 2) - 2 <= grid.width
    assert grid.block(across + 1) == 2 * side + 2 and grid.block(0) == 0
