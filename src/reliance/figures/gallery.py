"""A page of image galleries: sections of cells, each a few lines of text above a block of thumbnails.

Places are in pixels of the preview (style.PREVIEW_DPI to the inch) from the top left corner, so that
a thumbnail is copied to the preview pixel by pixel and lies in the PDF at the same resolution.
Texts may hold anything; they are cut to the width of their cell.
"""

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from reliance.base.errors import printable
from reliance.figures import style
from reliance.figures.canvas import EDGE, Canvas
from reliance.figures.thumbnails import Thumbnail

DPI = style.PREVIEW_DPI
MARGIN = round(EDGE * DPI)
TITLE, HEADER, AFTER_HEADER, EMPTY, LINE = 46, 32, 10, 28, 24  # heights, pixels
AFTER_TEXT, AFTER_CELL, AFTER_SECTION = 4, 26, 12
BETWEEN = 2  # thumbnails
GUTTER = 60  # columns
SIZE, SMALL = 6.5, 5.8  # points
WORD = 4.2  # points, of what a frame without an image says
DOT = 16  # width of the mark of a cell with its space, pixels
LONGEST = 500  # characters that are looked at


class Run(NamedTuple):
    """A piece of a line."""

    text: str
    color: str = style.INK
    bold: bool = False
    most: float = 1.0  # share of the line that it may take


class Cell(NamedTuple):
    """One component or case: lines of text above its thumbnails."""

    lines: list[list[Run]]
    pictures: list[Thumbnail]
    mark: str = ""  # colour of a dot before the first line, or none


class Section(NamedTuple):
    """Cells under one header."""

    header: str
    note: str
    color: str  # of the rule under the header
    cells: list[Cell]
    empty: str  # said instead of cells


class Grid(NamedTuple):
    """How the cells of all sections are laid out."""

    beside: int  # sections beside each other; they share the width of the page
    columns: int  # cells beside each other in a section
    across: int  # thumbnails beside each other in a cell
    largest: int = 88  # side of a thumbnail, pixels

    @property
    def width(self) -> int:
        """Width of a cell, pixels."""
        n = self.beside * self.columns
        return (round(style.PAGE * DPI) - 2 * MARGIN - (n - 1) * GUTTER) // n

    @property
    def side(self) -> int:
        """Side of a thumbnail, pixels."""
        return max(1, min(self.largest, (self.width - (self.across - 1) * BETWEEN) // self.across))

    def block(self, pictures: int) -> int:
        """Height of a block of thumbnails, pixels."""
        lines = -(-pictures // self.across)
        return max(0, lines * (self.side + BETWEEN) - BETWEEN)


@contextmanager
def look() -> Iterator[None]:
    """The look of all figures, but letters are not fitted to pixels: their widths are known beforehand."""
    with style.rc(), mpl.rc_context({"text.hinting": "none"}):
        yield


def draw_gallery(sections: Sequence[Section], grid: Grid, title: str) -> Figure:
    """Draw the sections in reading order, under `look`; as wide as a page, as high as they need."""
    rows = [sections[i : i + grid.beside] for i in range(0, len(sections), grid.beside)]
    top = MARGIN + (TITLE if title else 0)
    places = [top, *(max(_height(s, grid) for s in row) for row in rows)]
    starts = np.cumsum(places).tolist()
    page = _Page(round(style.PAGE * DPI), starts[-1])
    if title:
        page.line(MARGIN, MARGIN, [Run(title, bold=True)], page.width - 2 * MARGIN, 8)
    for row, y in zip(rows, starts, strict=False):
        for i, section in enumerate(row):
            _draw_section(page, MARGIN + i * grid.columns * (grid.width + GUTTER), y, section, grid)
    return page.canvas.figure


class _Page:
    """A figure with one pair of axes whose data coordinates are pixels of the preview."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.canvas = Canvas(width / DPI, height / DPI)
        self.canvas.figure.suppressComposite = True  # each thumbnail keeps a palette of its own
        self.axes: Any = self.canvas.axes(0, 0, width / DPI, height / DPI)
        self.axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.axis("off")

    def text(self, x: float, y: float, run: Run, size: float) -> None:
        """A text with its left end at x; y is its baseline."""
        weight = "bold" if run.bold else "normal"
        self.axes.text(x, y, run.text, color=run.color, size=size, weight=weight, va="baseline")

    def line(self, x: float, y: float, runs: Sequence[Run], width: float, size: float) -> None:
        """Runs after each other from (x, y), the top left corner, cut to the width."""
        base = y + 0.95 * size / 72 * DPI
        for run, left in fit(runs, width, size):
            self.text(x + left, base, run, size)

    def rectangle(self, x: float, y: float, width: float, height: float, **look: Any) -> None:
        """A rectangle with this top left corner."""
        self.axes.add_patch(Rectangle((x, y), width, height, **look))

    def picture(self, x: int, y: int, side: int, picture: Thumbnail) -> None:
        """A thumbnail, or an empty frame that says why there is none."""
        if picture.pixels is not None:
            extent = (x, x + side, y + side, y)
            self.axes.imshow(picture.pixels, extent=extent, interpolation="none", aspect="auto")
            return
        self.rectangle(x + 1, y + 1, side - 2, side - 2, fc="white", ec=style.MUTED, lw=0.5, ls=(0, (2, 2)))
        word = cut(picture.drawn, side - 8, WORD)
        place, middle = x + (side - width_of(word, WORD)) / 2, y + side / 2 + 4
        self.text(place, middle, Run(word, style.MUTED), WORD)


def _height(section: Section, grid: Grid) -> int:
    rows = sum(_row_height(row, grid) + AFTER_CELL for row in _rows(section, grid))
    return HEADER + AFTER_HEADER + (rows or EMPTY) + AFTER_SECTION


def _rows(section: Section, grid: Grid) -> list[list[Cell]]:
    return [section.cells[i : i + grid.columns] for i in range(0, len(section.cells), grid.columns)]


def _row_height(row: Sequence[Cell], grid: Grid) -> int:
    text = max(len(cell.lines) for cell in row) * LINE
    return text + AFTER_TEXT + max(grid.block(len(cell.pictures)) for cell in row)


def _draw_section(page: _Page, x: int, y: int, section: Section, grid: Grid) -> None:
    width = grid.columns * (grid.width + GUTTER) - GUTTER
    page.line(x, y, [Run(f"{section.header}  ", bold=True), Run(section.note, style.MUTED)], width, 7)
    page.rectangle(x, y + HEADER - 4, width, 3, color=section.color, lw=0)
    y += HEADER + AFTER_HEADER
    if not section.cells:
        page.line(x, y, [Run(section.empty, style.MUTED)], width, SIZE)
    for row in _rows(section, grid):
        text = max(len(cell.lines) for cell in row) * LINE + AFTER_TEXT
        for j, cell in enumerate(row):
            _draw_cell(page, x + j * (grid.width + GUTTER), y, text, cell, grid)
        y += _row_height(row, grid) + AFTER_CELL


def _draw_cell(page: _Page, x: int, y: int, text: int, cell: Cell, grid: Grid) -> None:
    for i, line in enumerate(cell.lines):
        shift = DOT if cell.mark and i == 0 else 0
        size = SIZE if i == 0 else SMALL
        page.line(x + shift, y + i * LINE, line, grid.width - shift, size)
    if cell.mark:
        page.axes.plot(x + 5, y + 12, "o", color=cell.mark, ms=3.2, mew=0)
    step = grid.side + BETWEEN
    for i, picture in enumerate(cell.pictures):
        place = x + i % grid.across * step, y + text + i // grid.across * step
        page.picture(*place, grid.side, picture)


def fit(runs: Sequence[Run], width: float, size: float) -> list[tuple[Run, float]]:
    """Runs after each other, each with its place from the left, pixels, none beyond `width`.

    A run that is too long is cut; one without any room is left out.
    """
    placed, left = [], 0.0
    for run in runs:
        text = run.text.rstrip(" ")
        short = cut(harmless(text), min(width - left, run.most * width), size, run.bold)
        if short:
            placed.append((run._replace(text=short), left))
            left += width_of(f"{short}{run.text[len(text) :]}", size, run.bold)
    return placed


def cut(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text if it fits the width (pixels), else its longest beginning that fits with an ellipsis.

    Nothing at all if not even the ellipsis fits.
    """
    if width_of(text, size, bold) <= width:
        return text
    low, high = 0, len(text)  # `low` characters fit, `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        fits = width_of(f"{text[:middle].rstrip()}…", size, bold) <= width
        low, high = (middle, high) if fits else (low, middle)
    short = f"{text[:low].rstrip()}…"
    return short if width_of(short, size, bold) <= width else ""


def harmless(text: str) -> str:
    """A text on one line: control characters escaped, no pile of accents, at most LONGEST characters."""
    kept: list[str] = []
    for c in unicodedata.normalize("NFC", text[:LONGEST]):
        if not (unicodedata.combining(c) and kept and unicodedata.combining(kept[-1])):
            kept.append(c)
    return printable("".join(kept)) + ("…" if len(text) > LONGEST else "")


@functools.lru_cache(maxsize=1 << 14)
def width_of(text: str, size: float, bold: bool = False) -> float:
    """Width of a text in pixels, as drawn under `look`; size in points."""
    font = FontProperties(family=style.FONTS, size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72 * DPI
