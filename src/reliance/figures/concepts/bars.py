"""Bars of unique concepts and histograms of alignments (Fig. 4 b and c)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from reliance.figures import style
from reliance.figures.canvas import Canvas, width_of
from reliance.figures.concepts.scatter import say, titles
from reliance.figures.style import Look

THICK = 0.76  # of a bar, in rows
SHARED = {"all": ("in all", "#0072b2"), "some": ("in some", "#8cc0e4"), "only": ("only here", "#d9d9d9")}
CLASSES, CLASSES_MEDIAN = "#c9c1b3", "#6b5f4d"


class Bar(NamedTuple):
    """Number of different labels of one basis."""

    look: Look
    unique: float
    rarefied: float  # expected among equally many components; nan: no mark
    text: str  # at its end


class Histogram(NamedTuple):
    """Best alignments of components, and of classes with their own names."""

    title: str
    note: str
    components: np.ndarray  # [n]
    classes: np.ndarray  # [C]
    edges: np.ndarray  # of the bins, the same for both


def draw_bars(axes: Any, groups: Sequence[Sequence[Bar]], names: Sequence[str], width: float) -> None:
    """Horizontal bars, in groups below each other.

    names : one per group, or one per bar if there is a single group.
    width : of the axes, inches.
    """
    axes.set_ylim(*_rows(groups))
    texts = max((width_of(bar.text, 6) for bars in groups for bar in bars), default=0.0) + 0.06
    most = max((bar.unique for bars in groups for bar in bars), default=0.0)
    axes.set_xlim(0, max(most, 1.0) * width / max(width - texts, 0.2 * width))
    for place, bars in zip(places(groups), groups, strict=True):
        for y, bar in zip(place, bars, strict=True):
            axes.barh(y, bar.unique, THICK, color=bar.look.color, linewidth=0, zorder=2)
            at = (bar.unique, y)
            axes.annotate(bar.text, at, (3, 0), textcoords="offset points", va="center_baseline", fontsize=6)
            outline = [withStroke(linewidth=2.2, foreground="white")]
            ends = [y - THICK / 2, y + THICK / 2]
            axes.plot(
                [bar.rarefied] * 2, ends, color=style.INK, linewidth=1.1, path_effects=outline, zorder=4
            )
    _finish(axes, groups, names, "different labels")


def draw_shared(axes: Any, counts: np.ndarray, groups: Sequence[Sequence[Bar]]) -> None:
    """Stacked bars beside groups of bars: labels in all tables, in some, in one only; counts [tables, 3]."""
    axes.set_ylim(*_rows(groups))
    axes.set_xlim(0, max(1.0, float(counts.sum(axis=1).max())))
    start, rows = np.zeros(len(counts)), [float(p.mean()) for p in places(groups)]
    for part, (_, color) in zip(counts.T, SHARED.values(), strict=True):
        axes.barh(rows, part, 0.6 * len(groups[0]), left=start, color=color, linewidth=0, zorder=2)
        start = start + part
    _finish(axes, groups, [], "different labels of the SAE")


def draw_histogram(axes: Any, shown: Histogram, width: float, first: bool) -> None:
    """Shares of components (line) and of classes (filled) by alignment, with their medians."""
    titles(axes, shown.title, shown.note, width)
    axes.set_xlabel("alignment with the best label", labelpad=1)
    axes.set_ylabel("share (%)" if first else "", labelpad=2)
    if not len(shown.components) and not len(shown.classes):
        say(axes, "no component with a label")
        return
    blue = style.BASES["sae"].color
    series = ((shown.classes, CLASSES, True, CLASSES_MEDIAN), (shown.components, blue, False, blue))
    for values, color, fill, dark in series:
        if len(values):
            counts, _ = np.histogram(values, shown.edges)
            shares = 100 * counts / len(values)
            axes.stairs(shares, shown.edges, color=color, fill=fill, linewidth=0 if fill else 1.1, zorder=2)
            axes.axvline(np.median(values), color=dark, linewidth=0.9, linestyle=(0, (3, 1.5)), zorder=3)
    axes.set_xlim(shown.edges[0], shown.edges[-1])
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def histogram_handles() -> list[Any]:
    """The key of the histograms."""
    line = Line2D([], [], color=style.BASES["sae"].color, label="components")
    return [line, Patch(color=CLASSES, label="class names", linewidth=0)]


def shared_handles(tables: int) -> list[Any]:
    """The key of the stacked bars; two tables share nothing with only some."""
    shown = [look for part, look in SHARED.items() if part != "some" or tables > 2]
    return [Patch(color=color, label=label, linewidth=0) for label, color in shown]


def bar_handles(looks: Sequence[Look]) -> list[Any]:
    """The key of the bars, with the mark."""
    mark = Line2D(
        [], [], color=style.INK, marker="|", linestyle="", markersize=5, label="equally many components"
    )
    return [*(Patch(color=k.color, label=k.label, linewidth=0) for k in looks), mark]


def key(canvas: Canvas, handles: Sequence[Any], right: float, top: float) -> None:
    """A key in one line with its top right corner here, inches."""
    at = canvas.at(right, top)
    canvas.figure.legend(
        handles=list(handles),
        loc="upper right",
        bbox_to_anchor=at,
        ncols=len(handles),
        borderpad=0,
        borderaxespad=0,
    )


def places(groups: Sequence[Sequence[Any]]) -> list[np.ndarray]:
    """Vertical positions of the bars of every group."""
    gap = 0.6
    starts = np.cumsum([0, *(len(bars) + gap for bars in groups)])
    return [start + np.arange(len(bars)) for start, bars in zip(starts, groups, strict=False)]


def _rows(groups: Sequence[Sequence[Any]]) -> tuple[float, float]:
    found = places(groups)
    return float(found[-1][-1]) + 0.6, -0.6


def _finish(axes: Any, groups: Sequence[Sequence[Any]], names: Sequence[str], label: str) -> None:
    found = places(groups)
    rows = [float(p.mean()) for p in found] if len(groups) > 1 else list(found[0])
    axes.set_yticks(rows if names else [], names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label, labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(axis="x")
