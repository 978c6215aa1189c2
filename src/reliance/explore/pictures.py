"""An answer as a figure: rows of words, a bar and thumbnails, below each other."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from reliance.base.errors import printable
from reliance.explore.picture import Picture
from reliance.explore.sheets import Block, Row, Sheet, Shown
from reliance.explore.shelf import Shelf
from reliance.explore.thumbs import thumbnails

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

WIDTH, ROW, LINE, HEAD, DETAIL = 9.0, 0.42, 0.17, 0.3, 0.11  # inches
SIDE, ACROSS = 96, 14  # pixels of a thumbnail; thumbnails beside each other in a block of them
NAME, BAR, PICTURES = 0.1, 3.6, 5.5  # inches from the left
LONGEST = 54  # characters of a row's name


def figure(shelf: Shelf, sheet: Sheet, own: Picture | None = None) -> Figure:
    """Draw an answer. As high as it needs to be."""
    from matplotlib.figure import Figure

    from reliance.figures import style

    shown = [picture for block in sheet.blocks for row in block.rows for picture in row.pictures[:6]]
    shown += [picture for block in sheet.blocks for picture, _ in block.pictures]
    images = thumbnails(shelf, [*shown, *([("", -1)] if own else [])], SIDE, own, sheet.places)
    height = HEAD * len(_wrapped(sheet.title, 9)) + 0.2 + sum(map(_height, sheet.blocks))
    height += LINE * sum(len(_wrapped(line, 7)) for line in sheet.lead)
    height += LINE * sum(len(_wrapped(line, 6)) for line in sheet.notes)
    height += 1.0 if own else 0.0
    with style.rc():
        drawn = Figure(figsize=(WIDTH, height))
        pen = _Pen(drawn, height, images)
        pen.words(sheet.title, size=9, weight="bold", step=HEAD)
        for line in sheet.lead:
            pen.words(line, color=style.MUTED)
        if own:
            pen.thumbnail(("", -1), NAME, 0.9)
            pen.down(1.0)
        for block in sheet.blocks:
            pen.block(block)
        for line in sheet.notes:
            pen.words(line, size=6, color=style.MUTED)
    return drawn


def _height(block: Block) -> float:
    pictures = -(-len(block.pictures) // ACROSS) * 0.78
    rows = 0.0 if block.pictures else sum(_step(block, row) for row in block.rows)
    lead = LINE * sum(len(_wrapped(line, 7)) for line in block.lead)
    return HEAD * len(_wrapped(block.title, 8)) + lead + pictures + rows + 0.12


def _step(block: Block, row: Row) -> float:
    """The height of a row."""
    return (ROW if row.pictures else LINE) + DETAIL * max(len(_details(block, row)) - 1, 0)


def _details(block: Block, row: Row) -> list[str]:
    """Lines of what stands behind the two cells that name a row, each with its column."""
    pairs = list(zip(block.columns, row.cells, strict=False))[2:]
    said = " · ".join(f"{column} {cell}" for column, cell in pairs if cell)
    most = 84 if row.bar is not None or row.pictures else 130
    return textwrap.wrap(printable(said), most) if row.pictures else [_cut(said, most)] if said else []


def _wrapped(line: str, size: float) -> list[str]:
    """Lines of words as wide as the page; at least one."""
    return textwrap.wrap(printable(line), round(1020 / size)) or [""]


class _Pen:
    """Draws from the top down; places are in inches from the top left corner."""

    def __init__(self, drawn: Figure, height: float, images: dict[Shown, Image.Image | None]) -> None:
        self._figure, self._height, self._images, self._y = drawn, height, images, 0.12
        self.axes: Any = drawn.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        self.axes.axis("off")

    def down(self, step: float) -> None:
        """Go on further below."""
        self._y += step

    def words(self, line: str, size: float = 7, step: float = LINE, x: float = NAME, **look: Any) -> None:
        """Words, on as many lines as they need."""
        for part in _wrapped(line, size):
            self.at(x, self._y + step / 2, part, size, **look)
            self.down(step)

    def at(self, x: float, y: float, line: str, size: float = 7, **look: Any) -> None:
        """Words at a place; dollars are no mathematics."""
        self.axes.text(x, y, line.replace("$", r"\$"), size=size, va="center", **look)

    def block(self, block: Block) -> None:
        """A block under its title."""
        from reliance.figures import style

        self.words(block.title, size=8, step=HEAD, weight="bold")
        for line in block.lead:
            self.words(line)
        for place, (key, caption) in enumerate(block.pictures):
            if place and place % ACROSS == 0:
                self.down(0.78)
            x = NAME + place % ACROSS * 0.63
            self.thumbnail(key, x, 0.6)
            self.at(x, self._y + 0.67, _cut(caption, 12), 5, color=style.MUTED)
        self.down(0.78 if block.pictures else 0)
        for row in [] if block.pictures else block.rows:
            step, details = _step(block, row), _details(block, row)
            middle = self._y + (0.12 if row.pictures and details else step / 2)
            self.at(NAME, middle, _cut("  ".join(row.cells[:2]), LONGEST), 7)
            for place, line in enumerate(details):
                lower = (NAME, self._y + 0.27 + place * DETAIL) if row.pictures else (BAR + 1.9, middle)
                self.at(*lower, line, 5.5, color=style.MUTED)
            if row.bar is not None:
                self.bar(row.bar, step)
            for place, key in enumerate(row.pictures[:6]):
                self.thumbnail(key, PICTURES + place * 0.4, 0.38)
            self.down(step)
        self.down(0.12)

    def bar(self, share: float, step: float) -> None:
        """A bar from -1 to 1 around its middle."""
        from matplotlib.patches import Rectangle

        from reliance.figures import style

        middle, full = BAR + 0.9, 0.85
        width = float(np.clip(share, -1, 1)) * full
        colour = style.BASES["sae"].color if share >= 0 else style.FAILURES["spurious"].color
        height = min(0.14, step * 0.7)
        self.axes.add_patch(
            Rectangle((middle, self._y + step / 2 - height / 2), width, height, color=colour, lw=0)
        )

    def thumbnail(self, key: Shown, x: float, side: float) -> None:
        """An image, or an empty frame where it is gone."""
        from matplotlib.patches import Rectangle

        from reliance.figures import style

        image = self._images.get(key)
        if image is None:
            self.axes.add_patch(Rectangle((x, self._y), side, side, fc="white", ec=style.MUTED, lw=0.5))
            return
        extent = (x, x + side, self._y + side, self._y)
        self.axes.imshow(np.asarray(image), extent=extent, interpolation="none", aspect="auto")
        self.axes.set(xlim=(0, WIDTH), ylim=(self._height, 0))


def _cut(line: str, most: int) -> str:
    line = printable(line)
    return line if len(line) <= most else f"{line[: most - 1]}…"
