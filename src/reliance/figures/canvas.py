"""A figure laid out in inches from its top left corner, with text whose width is known beforehand."""

import functools
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from reliance.figures import style

EDGE, RIGHT = 0.05, 0.08  # margins, inches
HEADING, LEGEND_LINE, LEGEND_PAD = 0.2, 0.145, 0.075  # heights, inches
BOLD = 1.15  # how much wider bold text is
MOST = 4  # panels beside each other
HANDLE = 0.27  # width of a legend's marker with its spacing, inches


class Canvas:
    """A figure addressed in inches from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.width, self.height = width, height

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Figure coordinates of a point."""
        return x / self.width, 1 - y / self.height

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        """New axes with this top left corner and size."""
        left, bottom = self.at(x, y + height)
        return self.figure.add_axes((left, bottom, width / self.width, height / self.height))

    def text(self, x: float, y: float, text: str, size: float) -> None:
        """Bold text with its top left corner here; smaller if it would not fit on the page."""
        size *= min(1.0, (self.width - x - RIGHT) / (BOLD * width_of(text, size) or 1.0))
        self.figure.text(*self.at(x, y), text, va="top", fontsize=size, fontweight="bold")

    def ground(self, y: float, height: float, color: str) -> None:
        """Colour a band of the figure from side to side."""
        corner = self.at(0, y + height)
        band = Rectangle(
            corner, 1, height / self.height, transform=self.figure.transFigure, color=color, lw=0
        )
        band.set_zorder(-1)
        self.figure.add_artist(band)


class Head:
    """Title and legend (if any) above the panels; beside each other if both fit, else the legend below.

    `height` is what they need, inches.
    """

    def __init__(self, title: str, handles: Sequence[Line2D], width: float) -> None:
        self.title, self.handles = title, list(handles)
        widths = [width_of(str(h.get_label())) + HANDLE for h in handles]
        room = width - EDGE - RIGHT
        beside = width_of(title, 8) + 0.3 + sum(widths) <= room
        fitting = [n for n in range(1, len(widths)) if n * max(widths) <= room]
        self.columns = max(1, len(widths)) if sum(widths) <= room else max(fitting, default=1)
        self.top = HEADING if title and not (beside and handles) else 0.0
        lines = -(-len(widths) // self.columns)
        self.height = self.top + (lines * LEGEND_LINE + LEGEND_PAD if handles else 0.0)

    def draw(self, canvas: Canvas) -> None:
        """Draw both at the top of a canvas."""
        if self.handles:
            canvas.figure.legend(
                handles=self.handles,
                loc="upper right",
                bbox_to_anchor=canvas.at(canvas.width - RIGHT, self.top),
                ncols=self.columns,
                borderpad=0.4,
            )
        canvas.text(EDGE, 0.06, self.title, 8)


def lines_of(count: int, most: int = MOST) -> list[range]:
    """Panels by line: as many lines as needed, filled evenly."""
    each = -(-count // -(-count // most))
    return [range(i, min(i + each, count)) for i in range(0, count, each)]


@functools.cache
def width_of(text: str, size: float = 6.5) -> float:
    """Width of a text in inches, in the fonts of the figures; size in points."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=style.FONTS, size=size)
    return float(TextPath((0, 0), text, prop=font).get_extents().width) / 72
