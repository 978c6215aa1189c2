"""Means with intervals as a table of bars: a row per method, a panel per measure."""

from collections.abc import Sequence
from math import isnan
from typing import Any, NamedTuple

from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from reliance.figures.canvas import Canvas, width_of
from reliance.figures.style import INK, Look

ROW, HEAD, AXIS = 0.2, 0.22, 0.34  # heights, inches
SIZE = 6.5


class Bar(NamedTuple):
    """A mean with its interval; nan ends draw none."""

    look: Look
    mean: float
    low: float
    high: float


def labels_width(bars: Sequence[Bar]) -> float:
    """What the names of the rows take, inches."""
    return max(width_of(bar.look.label, SIZE) for bar in bars) + 0.08


def height(rows: int) -> float:
    """Of a panel with its heading and axis, inches."""
    return HEAD + rows * ROW + AXIS


def draw_panel(
    canvas: Canvas, place: tuple[float, float, float], title: str, bars: Sequence[Bar], *, named: bool = True
) -> Any:
    """One panel with its left end, top and width (inches); with the names of the rows left of it if `named`.

    Numbers stand at the ends of the bars, as percents. Returns the axes.
    """
    left, top, width = place
    canvas.text(left, top + 0.04, title, 7)
    axes = canvas.axes(left, top + HEAD, width, len(bars) * ROW)
    rows = list(range(len(bars)))
    axes.set_ylim(len(bars) - 0.5, -0.5)
    known = [end for bar in bars for end in (bar.mean, bar.high) if not isnan(end)]
    most = max(known, default=1.0)
    room = width_of("100.0", 6) + 0.12
    axes.set_xlim(0, 100 * max(most, 0.01) * width / (width - room))
    for y, bar in zip(rows, bars, strict=True):
        if isnan(bar.mean):  # nothing to average
            axes.text(0, y, " none", va="center", fontsize=6)
            continue
        axes.barh(y, 100 * bar.mean, 0.66, color=bar.look.color, linewidth=0, zorder=2)
        end = bar.mean
        if not isnan(bar.low):
            ends, halo = [100 * bar.low, 100 * bar.high], [withStroke(linewidth=2.2, foreground="white")]
            axes.plot(ends, [y, y], color=INK, lw=0.9, path_effects=halo, zorder=3)
            end = max(end, bar.high)
        at = (100 * end, y)
        text = f"{100 * bar.mean:.1f}"
        axes.annotate(text, at, (3, 0), textcoords="offset points", va="center_baseline", fontsize=6)
    axes.set_yticks(rows, [bar.look.label for bar in bars] if named else [""] * len(bars))
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(axis="x")
    axes.set_xlabel("%", labelpad=1)
    return axes
