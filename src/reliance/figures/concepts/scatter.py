"""Scatters of clarity against what a component does (Figs. 4 a and 9); many points become a density."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from reliance.concepts.concepts import middle
from reliance.figures import style
from reliance.figures.canvas import Canvas, width_of

MANY = 3000  # points from which on hexagons show how many lie where
MARGIN = 0.17  # height of the counts along the sides, inches
HEXAGON = 0.065  # width, inches
SHORT = 0.7  # decades; longer axes have two of 1, 2 and 5
EMPTY = "no component with a clarity"


class Cloud(NamedTuple):
    """One point per component."""

    title: str
    note: str
    x: np.ndarray  # [n]
    y: np.ndarray  # clarity [n]
    label: str  # of the x axis
    log: bool = False  # x > 0 on a logarithmic axis
    empty: str = EMPTY  # said where there is no point


def draw_cloud(
    canvas: Canvas,
    cloud: Cloud,
    corner: tuple[float, float],
    size: tuple[float, float],
    *,
    first: bool,
    margins: bool = False,
) -> None:
    """Draw a scatter with its title.

    Parameters
    ----------
    corner, size : top left corner, and width and height of its axes, inches; the title lies above.
    first : whether the y axis is named.
    margins : whether counts along both sides and the middle of both ranges are drawn, inside of `size`.
    """
    side = MARGIN if margins else 0.0
    (left, top), (width, height) = corner, size
    axes = canvas.axes(left, top + side, width - side, height - side)
    titles(axes, cloud.title, cloud.note, width, side)
    axes.set_xlabel(cloud.label, labelpad=1)
    axes.set_ylabel("clarity" if first else "", labelpad=2)
    if not len(cloud.x):
        say(axes, cloud.empty)
        return
    _limits(axes, cloud)
    if len(cloud.x) > MANY:
        _hexagons(axes, cloud)
    else:
        alpha = float(np.clip(20 / np.sqrt(len(cloud.x)), 0.25, 0.8))
        axes.plot(
            cloud.x, cloud.y, "o", color=COLOR, alpha=alpha, markersize=2.4, markeredgewidth=0, zorder=3
        )
    _ticks(axes, cloud)
    if margins:
        for line, value in ((axes.axvline, middle(cloud.x)), (axes.axhline, middle(cloud.y))):
            line(value, color=style.MUTED, linewidth=0.6, linestyle=(0, (3, 2)), zorder=2)
        _counts(canvas.axes(left, top, width - side, side), axes, cloud.x, "x")
        _counts(canvas.axes(left + width - side, top + side, side, height - side), axes, cloud.y, "y")


COLOR = style.BASES["sae"].color


def titles(axes: Any, title: str, note: str, room: float, up: float = 0.0) -> None:
    """A title and a note above axes, at most `room` wide and `up` higher than usual (inches)."""
    for text, above, points, color in ((title, 10 if note else 2, 7.5, style.INK), (note, 2, 6, style.MUTED)):
        size = points * min(1.0, room / max(width_of(text, points), 1e-9))
        offset = (0, above + 72 * up)
        axes.annotate(text, (0, 1), offset, "axes fraction", "offset points", fontsize=size, color=color)


def say(axes: Any, text: str) -> None:
    """Say in empty axes why they are empty."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=style.MUTED)


def _limits(axes: Any, cloud: Cloud) -> None:
    """Axes a little longer than the ranges."""
    x = np.log10(cloud.x) if cloud.log else cloud.x
    spare = 0.02 * float(np.abs(cloud.x).max())
    if cloud.log:
        spare = (0.5 - float(np.ptp(x))) / 2  # at least one number on the axis
        axes.set_xscale("log")
    spare = max(0.05 * float(np.ptp(x)), spare)
    ends = np.array([x.min() - spare, x.max() + spare])
    axes.set_xlim(10**ends if cloud.log else ends)
    spare = max(0.05 * float(np.ptp(cloud.y)), 0.02)
    axes.set_ylim(cloud.y.min() - spare, cloud.y.max() + spare)


def _ticks(axes: Any, cloud: Cloud) -> None:
    """Few round numbers; those of powers of ten without superscripts."""
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    if not cloud.log:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        return
    low, high = np.log10(axes.get_xlim())
    subs, count = (1.0,) if high - low > 2 else (1.0, 2.0, 5.0), 6 if high - low < 4 else 4
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=count))
    if high - low < SHORT:  # with fewer than two of its numbers on the axis that locator takes any
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _hexagons(axes: Any, cloud: Cloud) -> None:
    shades = LinearSegmentedColormap.from_list("density", ["#d6e6f2", COLOR, "#06263d"])
    box = axes.get_position()
    figure = axes.figure
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.hexbin(
        cloud.x,
        cloud.y,
        gridsize=(max(2, round(width / HEXAGON)), max(2, round(height / HEXAGON / np.sqrt(3)))),
        xscale="log" if cloud.log else "linear",
        extent=(*(np.log10([left, right]) if cloud.log else (left, right)), low, high),
        mincnt=1,
        norm=LogNorm(),
        cmap=shades,
        linewidths=0.1,
        zorder=3,
    )
    axes.set(xlim=(left, right), ylim=(low, high))


def _counts(strip: Any, axes: Any, values: np.ndarray, along: str) -> None:
    """How many points lie along one side of a scatter."""
    limits = axes.get_xlim() if along == "x" else axes.get_ylim()
    counts, edges = np.histogram(values, bins=24, range=limits)
    strip.stairs(counts, edges, orientation="horizontal" if along == "y" else "vertical", fill=True)
    strip.patches[0].set(facecolor=COLOR, alpha=0.35, linewidth=0)
    strip.set_axis_off()
    (strip.set_xlim if along == "x" else strip.set_ylim)(limits)
    (strip.set_ylim if along == "x" else strip.set_xlim)(0, 1.05 * counts.max())
