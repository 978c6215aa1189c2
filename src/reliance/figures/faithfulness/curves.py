"""Panels of deletion and insertion curves (Figs. 3, 7 and 8).

A panel has one curve per method: the mean output after so many latents, with its error as a band.
The key of a panel carries the mean over the steps. With `named` it lies under the panel and names the
methods; else it lies beside the panel, and the names are said once, at the top.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head, width_of
from reliance.figures.style import Look

BODY, LOWEST, TALLEST = 1.35, 0.8, 9.1  # heights, inches: of a panel, the least, of a figure
HEADER, TITLES, TICKS, NAME = 0.2, 0.3, 0.22, 0.13  # heights, inches: TICKS below a panel, NAME of its x axis
SPACE = 0.08  # height above a panel without a title, inches
LEFT, NUMBERS, BETWEEN = 0.13, 0.3, 0.1  # widths, inches: name of the y axis, its numbers, between panels
SAME = 0.02  # of an axis: bands that differ less are one, or many of them hide the curves
LINE, SAMPLE, PAD = 0.115, 0.24, 0.05  # the key: height of a line, width of a sample, spacing

BANDS = "Of bands that cover each other one is drawn."


class Curve(NamedTuple):
    """Mean output of one method, in percent."""

    look: Look
    y: np.ndarray  # after 0, 1, ..., S latents
    error: np.ndarray  # half height of the band; nan: no band
    value: str  # mean over the steps, with its error
    light: bool = False  # a variant or a bound of other methods: thin, without markers


class Panel(NamedTuple):
    """One protocol on one model; it may have no curve at all."""

    title: str
    note: str
    curves: list[Curve]


class Row(NamedTuple):
    """Panels side by side under one header, which may be empty."""

    header: str
    panels: list[Panel]


def draw_curves(rows: Sequence[Row], *, title: str, named: bool) -> Figure:
    """Draw rows of panels, a page wide.

    Parameters
    ----------
    title : above the figure, left; may be empty.
    named : whether every panel names its methods, which takes more room.
    """
    looks = {c.look.label: c for row in rows for panel in row.panels for c in panel.curves}
    head = Head(title, [] if named else [_sample(c, c.look.label) for c in looks.values()], style.PAGE)
    grid = _grid(rows, head.height + 0.04, named)
    canvas = Canvas(style.PAGE, sum(grid.heights) + head.height + 0.04)
    head.draw(canvas)
    top = head.height
    for row, above, height in zip(rows, grid.above, grid.heights, strict=True):
        canvas.text(EDGE, top + 0.05, row.header, 7.5)
        _draw_row(canvas, row, top + above, grid, row is rows[0] or above > HEADER + SPACE)
        top += height
    return canvas.figure


class Grid(NamedTuple):
    """What all rows share, and their heights (inches)."""

    body: float  # height of a panel
    slot: float  # width of a panel with its numbers and its key
    beside: float  # width of the key beside a panel; 0: keys lie below
    above: list[float]  # of each row: header and titles
    heights: list[float]  # of each row


def _grid(rows: Sequence[Row], head: float, named: bool) -> Grid:
    """Panels as high as usual, less if the figure would be longer than a page, with room for the key."""
    count = max(len(row.panels) for row in rows)
    slot = (style.PAGE - EDGE - LEFT - RIGHT - BETWEEN * (count - 1)) / count
    panels = [panel for row in rows for panel in row.panels]
    lines = max((len(panel.curves) for panel in panels), default=0)
    titles = [[panel.title for panel in row.panels] for row in rows]
    above = [HEADER * bool(row.header) + TITLES for row in rows]
    if len(rows) > 1 and all(t == titles[0] for t in titles):
        above[1:] = [HEADER * bool(row.header) + SPACE for row in rows[1:]]
    below = TICKS + NAME + ((lines + 1) * LINE + PAD if named else 0.0)
    room = (TALLEST - head - sum(above)) / len(rows) - below
    body = max(LOWEST if named else max(LOWEST, (lines + 1) * LINE), min(BODY, room))
    return Grid(body, slot, 0.0 if named else _beside(panels), above, [a + body + below for a in above])


def _draw_row(canvas: Canvas, row: Row, top: float, grid: Grid, titled: bool) -> None:
    for i, panel in enumerate(row.panels):
        left = EDGE + LEFT + i * (grid.slot + BETWEEN) + NUMBERS
        width = grid.slot - NUMBERS - grid.beside
        axes = canvas.axes(left, top, width, grid.body)
        _frame(axes, panel, grid.slot - NUMBERS if titled else 0.0)
        if i == 0:
            axes.set_ylabel("output y (%)", labelpad=0, va="top")
            axes.yaxis.set_label_coords(-(LEFT + NUMBERS) / width, 0.5)
        for order, curve in enumerate(panel.curves):
            _draw_curve(axes, curve, 3 + len(panel.curves) - order, panel.curves[:order])
        if grid.beside and panel.curves:
            _draw_key(canvas, panel, left + width + PAD, top - PAD, False)
        elif panel.curves:
            _draw_key(canvas, panel, left - NUMBERS / 2, top + grid.body + TICKS + NAME, True)


def _frame(axes: Any, panel: Panel, room: float) -> None:
    """Axes of a panel; its title takes at most `room` inches, and is left out if there is none."""
    size = 7.5 * min(1.0, room / max(width_of(panel.title, 7.5), 1e-9))
    for text, up, points, color in ((panel.title, 10, size, style.INK), (panel.note, 2, 6, style.MUTED)):
        if room:
            axes.annotate(
                text, (0, 1), (0, up), "axes fraction", "offset points", fontsize=points, color=color
            )
    steps = max((len(c.y) for c in panel.curves), default=11) - 1
    axes.set_xlim(-0.02 * max(steps, 1), 1.02 * max(steps, 1))
    axes.set_ylim(*_limits(panel))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("latents", labelpad=1)
    axes.grid(axis="y")
    if not panel.curves:
        axes.set_yticks([])
        axes.text(
            0.5, 0.5, "not computed", transform=axes.transAxes, ha="center", va="center", color=style.MUTED
        )


def _limits(panel: Panel) -> tuple[float, float]:
    """Ends of the y axis: all curves with their bands, and at least one percent of output."""
    ends = [c.y + sign * np.nan_to_num(c.error) for c in panel.curves for sign in (-1, 1)]
    known = np.concatenate([*ends, np.zeros(0)])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    spare = max(0.05 * (high - low), (1.0 - (high - low)) / 2)
    return low - spare, high + spare


def _draw_curve(axes: Any, curve: Curve, order: int, before: Sequence[Curve]) -> None:
    """A curve with its band, unless that of a curve before it is the same."""
    x = np.arange(len(curve.y))
    if np.isfinite(curve.error).any() and not any(_same_band(axes, curve, other) for other in before):
        low, high = curve.y - curve.error, curve.y + curve.error
        axes.fill_between(x, low, high, color=curve.look.color, alpha=0.18, linewidth=0, zorder=2)
    line = _sample(curve)
    line.set_data(x, curve.y)
    line.set(zorder=order, markevery=max(1, (len(x) - 1) // 10))
    axes.add_line(line)


def _same_band(axes: Any, one: Curve, other: Curve) -> bool:
    """Whether two bands would cover each other: their ends differ by less than SAME of the axis."""
    if len(one.y) != len(other.y):
        return False
    low, high = axes.get_ylim()
    ours, theirs = (np.concatenate([c.y - c.error, c.y + c.error]) for c in (one, other))
    return bool(np.allclose(ours, theirs, rtol=0, atol=SAME * (high - low), equal_nan=True))


def _sample(curve: Curve, label: str = "") -> Line2D:
    """A line that looks like the curve."""
    return Line2D(
        [],
        [],
        color=curve.look.color,
        linestyle=(0, curve.look.dashes) if curve.look.dashes else "-",
        linewidth=0.8 if curve.light else 1.1,
        marker="" if curve.light else curve.look.marker,
        markersize=3.2,
        markeredgewidth=0,
        label=label,
    )


def _heading(curves: Sequence[Curve]) -> str:
    """What the values of a key are."""
    return "mean y ± SEM (%)" if any("±" in c.value for c in curves) else "mean y (%)"


def _beside(panels: Sequence[Panel]) -> float:
    """Width of the keys beside the panels, with the space before and after."""
    curves = [c for panel in panels for c in panel.curves]
    values = max((width_of(c.value, 6) for c in curves), default=0.0)
    return max(SAMPLE + PAD + values, width_of(_heading(curves), 6)) + 2 * PAD


def _draw_key(canvas: Canvas, panel: Panel, left: float, top: float, named: bool) -> None:
    """One line per curve: a sample of it, its name if `named`, its value; right of `left`, below `top`."""
    size, heading = (6.5 if named else 6.0), _heading(panel.curves)
    names = max(width_of(c.look.label) for c in panel.curves) + 3 * PAD if named else 0.0
    values = left + SAMPLE + PAD + names + max(width_of(c.value, size) for c in panel.curves)
    right = values if named else max(values, left + width_of(heading, 6))
    _write(canvas, right, top + LINE / 2, heading, 6, style.MUTED, "right")
    for i, curve in enumerate(panel.curves):
        y = top + (i + 1.5) * LINE
        sample = _sample(curve)
        ends = [canvas.at(left + part * SAMPLE, y) for part in (0, 0.5, 1)]
        sample.set_data([x for x, _ in ends], [y for _, y in ends])
        sample.set(transform=canvas.figure.transFigure, markevery=[1])
        canvas.figure.add_artist(sample)
        if named:
            _write(canvas, left + SAMPLE + PAD, y, curve.look.label, size, style.INK, "left")
        _write(canvas, right, y, curve.value, size, style.INK, "right")


def _write(canvas: Canvas, x: float, y: float, text: str, size: float, color: str, side: str) -> None:
    canvas.figure.text(*canvas.at(x, y), text, va="center_baseline", ha=side, fontsize=size, color=color)
