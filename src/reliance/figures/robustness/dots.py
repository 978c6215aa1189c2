"""Dot plots of spurious against valid AUC, one panel per kind of failure (Figs. 5 and 14).

A row is one way of probing one model: a filled marker for the spurious AUC, an open one for the
valid AUC, and a line for the gap between them. Sections of panels lie below each other; planted
cases have a tinted ground, so that they are never taken for found ones.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head, width_of
from reliance.figures.style import Look

HEADER, TITLES, FOOTER = 0.18, 0.29, 0.36  # heights, inches
ROW, LONE_ROW, GAP = 0.115, 0.16, 0.7  # row heights, inches; the gap between models, rows
BETWEEN, NARROWEST = 0.2, 0.8  # widths, inches: between panels, of a panel


class Row(NamedTuple):
    """One way of probing one model on one group of cases."""

    spurious: float  # mean spurious AUC; nan: nothing is drawn
    valid: float
    spurious_error: float  # half length of the error bar; nan: no bar
    valid_error: float
    cases: np.ndarray  # spurious AUC of the single cases, drawn as ticks; may be empty


class Panel(NamedTuple):
    """One kind of failure: a grid of rows, models by probes; no rows at all if there is no case."""

    title: str
    note: str  # number of cases
    rows: list[list[Row]]  # [models][probes]
    empty: str = "no case found"  # said instead of rows


class Strip(NamedTuple):
    """Panels side by side under one header."""

    header: str
    tinted: bool
    panels: list[Panel]


class Grid(NamedTuple):
    """What all panels share."""

    places: np.ndarray  # vertical positions of the rows, [models, probes]
    looks: Sequence[Look]  # one per probe
    labels: list[str]  # of the models, or of the probes of a single model
    left: float  # width of the labels, inches
    body: float  # height of a panel, inches
    low: float  # where the axis of areas starts


def draw_dots(
    sections: Sequence[Strip],
    models: Sequence[str],
    looks: Sequence[Look],
    *,
    title: str,
) -> Figure:
    """Draw the sections.

    Parameters
    ----------
    models : one label per model, top to bottom; with a single model the rows are labelled by probe.
    looks : one look per probe, in the order of the rows of a model.
    title : above the figure, left; may be empty.

    The figure is a page wide; panels that do not fit beside each other go to another line.
    """
    grid = _grid(sections, models, looks)
    head = Head(title, _handles(looks if len(models) > 1 else ()), style.PAGE)
    lines = [_lines(section.panels, grid.left) for section in sections]
    each = TITLES + grid.body + FOOTER
    heights = [len(n) * each + (HEADER if s.header else 0.02) for s, n in zip(sections, lines, strict=True)]
    canvas = Canvas(style.PAGE, head.height + sum(heights))
    head.draw(canvas)
    top = head.height
    for section, panels, height in zip(sections, lines, heights, strict=True):
        if section.tinted:
            canvas.ground(top, height, style.TINT)
        canvas.text(EDGE, top + 0.05, section.header, 7.5)
        for i, line in enumerate(panels):
            at = top + height - (len(panels) - i) * each + TITLES
            _draw_line(canvas, line, section.panels, grid, at, len(panels[0]))
        top += height
    return canvas.figure


def _grid(sections: Sequence[Strip], models: Sequence[str], looks: Sequence[Look]) -> Grid:
    several = len(models) > 1
    places = np.arange(len(models))[:, None] * (len(looks) + GAP) + np.arange(len(looks))
    labels = list(models) if several else [look.label for look in looks]
    left = EDGE + max(width_of(label) for label in labels) + 0.06
    body = float(places[-1, -1] + 1) * (ROW if several else LONE_ROW)
    return Grid(places, looks, labels, left, body, _lower_limit(sections))


def _lower_limit(sections: Sequence[Strip]) -> float:
    """Where the axis of areas starts: below everything drawn, at a round number."""
    rows = [r for s in sections for p in s.panels for model in p.rows for r in model]
    ends = [r.spurious - np.nan_to_num(r.spurious_error) for r in rows]
    ends += [v for r in rows for v in (r.valid, *r.cases)]
    lowest = np.nanmin([0.9, *ends])
    return max(0.0, float(np.floor(lowest * 20 - 1e-9) / 20))


def _lines(panels: list[Panel], left: float) -> list[list[Panel]]:
    """Panels by line: as many lines as needed, filled evenly."""
    fit = max(1, int((style.PAGE - left - RIGHT + BETWEEN) / (NARROWEST + BETWEEN)))
    count = -(-len(panels) // fit)
    each = -(-len(panels) // count)
    return [panels[i : i + each] for i in range(0, len(panels), each)]


def _draw_line(
    canvas: Canvas, panels: Sequence[Panel], section: Sequence[Panel], grid: Grid, top: float, slots: int
) -> None:
    """Panels side by side, each as wide as if the line had `slots` of them; titles as large as fits all."""
    width = (canvas.width - grid.left - RIGHT - BETWEEN * (slots - 1)) / slots
    size = 7.5 * min(1.0, *((width + 0.04) / width_of(p.title, 7.5) for p in section))
    for i, panel in enumerate(panels):
        axes = canvas.axes(grid.left + i * (width + BETWEEN), top, width, grid.body)
        _frame(axes, grid)
        for text, up, points, color in ((panel.title, 10, size, style.INK), (panel.note, 2, 6, style.MUTED)):
            axes.annotate(
                text, (0, 1), (0, up), "axes fraction", "offset points", fontsize=points, color=color
            )
        places = grid.places.mean(axis=1) if len(grid.places) > 1 else grid.places[0]
        axes.set_yticks(places if i == 0 else [], grid.labels if i == 0 else [])
        if not panel.rows:
            axes.text(
                0.5, 0.5, panel.empty, transform=axes.transAxes, ha="center", va="center", color=style.MUTED
            )
        for model, ys in zip(panel.rows, grid.places, strict=False):
            for row, look, y in zip(model, grid.looks, ys, strict=True):
                _draw_row(axes, row, look, float(y))


def _frame(axes: Any, grid: Grid) -> None:
    low, places = grid.low, grid.places
    axes.set_facecolor("none")
    axes.set_xlim(low - 0.01 * (1 - low), 1 + 0.03 * (1 - low))
    axes.set_ylim(places[-1, -1] + 0.75, -0.75)
    axes.set_xticks(_ticks(low))
    axes.set_xlabel("AUC", labelpad=1)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    if low < 0.5:
        axes.axvline(0.5, color=style.MUTED, linewidth=0.6, linestyle=(0, (3, 2)), zorder=1)
    for above, below in zip(places[:-1, -1], places[1:, 0], strict=True):
        axes.axhline((above + below) / 2, color=style.GRID, linewidth=0.5, zorder=0.5)


def _ticks(low: float) -> np.ndarray:
    """Round numbers up to 1, at most four."""
    step = next(s for s in (0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if (1 - low) / s < 3.6)
    return 1 - step * np.arange(int((1 - low) / step + 1e-9), -1, -1)


def _draw_row(axes: Any, row: Row, look: Look, y: float) -> None:
    if np.isnan(row.spurious):
        return
    axes.plot([row.spurious, row.valid], [y, y], color=look.color, linewidth=0.7, alpha=0.45, zorder=2)
    ticks = {"color": look.color, "alpha": 0.3, "markersize": 3.2, "markeredgewidth": 0.5}
    axes.plot(row.cases, np.full(len(row.cases), y), "|", zorder=1.5, **ticks)
    points = ((row.spurious, row.spurious_error, look.color, 4), (row.valid, row.valid_error, "white", 3))
    for x, error, face, order in points:
        axes.errorbar(
            x,
            y,
            xerr=None if np.isnan(error) else error,
            fmt=look.marker,
            color=look.color,
            markerfacecolor=face,
            markersize=3.4,
            markeredgewidth=0.8,
            elinewidth=0.9,
            zorder=order,
        )


def _handles(looks: Sequence[Look]) -> list[Line2D]:
    shape: dict[str, Any] = {"linestyle": "", "markersize": 3.8, "markeredgewidth": 0.8}
    handles = [Line2D([], [], color=k.color, marker=k.marker, label=k.label, **shape) for k in looks]
    for label, face in (("spurious AUC", style.MUTED), ("valid AUC", "white")):
        handles.append(
            Line2D([], [], color=style.MUTED, marker="o", markerfacecolor=face, label=label, **shape)
        )
    return handles
