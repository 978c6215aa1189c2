"""An answer as a figure: rows of words, a bar and thumbnails, below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reliance.explore.picture import Picture
from reliance.explore.sheets import Block, Sheet, Shown
from reliance.explore.shelf import Shelf
from reliance.explore.thumbs import thumbnails

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

WIDTH, ROW, LINE, HEAD = 9.0, 0.42, 0.17, 0.3  # inches
SIDE, ACROSS = 96, 14  # pixels of a thumbnail; thumbnails beside each other in a block of them
NAME, BAR, PICTURES = 0.1, 3.6, 5.5  # inches from the left
LONGEST = 54  # characters of a row's words, of 110 of a sentence


def figure(shelf: Shelf, sheet: Sheet, own: Picture | None = None) -> Figure:
    """Draw an answer. As high as it needs to be."""
    from matplotlib.figure import Figure

    from reliance.figures import style

    shown = [picture for block in sheet.blocks for row in block.rows for picture in row.pictures[:6]]
    shown += [picture for block in sheet.blocks for picture, _ in block.pictures]
    images = thumbnails(shelf, [*shown, *([("", -1)] if own else [])], SIDE, own, sheet.places)
    height = HEAD + 0.2 + LINE * (len(sheet.lead) + len(sheet.notes)) + sum(map(_height, sheet.blocks))
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
    each = ROW if any(row.pictures for row in block.rows) else LINE
    rows = 0.0 if block.pictures else each * len(block.rows)
    return HEAD + LINE * len(block.lead) + pictures + rows + 0.12


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
        """A line of words, cut where the page ends."""
        self.at(x, self._y + step / 2, _cut(line, round(1020 / size)), size, **look)
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
            step = ROW if row.pictures else LINE
            names, rest = row.cells[:2], [cell for cell in row.cells[2:] if cell]
            middle = self._y + (0.12 if row.pictures and rest else step / 2)
            self.at(NAME, middle, _cut("  ".join(names), LONGEST), 7)
            if rest:
                lower = (NAME, self._y + 0.28) if row.pictures else (BAR + 1.9, middle)
                self.at(
                    *lower,
                    _cut(" · ".join(_labelled(block, row.cells)), 84 if row.bar is not None else 130),
                    5.5,
                    color=style.MUTED,
                )
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


def _labelled(block: Block, cells: list[str]) -> list[str]:
    """What stands behind the two cells that name a row, each with its column."""
    pairs = list(zip(block.columns, cells, strict=False))[2:]
    return [f"{column} {cell}" for column, cell in pairs if cell]


def _cut(line: str, most: int) -> str:
    from reliance.base.errors import printable

    line = printable(line)
    return line if len(line) <= most else f"{line[: most - 1]}…"
