"""What figures of the lens read, and how their panels stand: one per block, side by side."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from reliance.base.artifacts import Stamp, derived_stamp, read_table
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head, lines_of
from reliance.figures.style import INK, MUTED, PAGE, Look
from reliance.lens.evaluate import ACCURACY

SCHEMA = 1
LEAST = 8.0  # points of accuracy that an axis spans
TITLE, BODY, AXIS, NUMBERS, BETWEEN = 0.24, 1.4, 0.36, 0.4, 0.12  # inches
JUDGED = "What the paper on the lens found, held against these numbers:"
LOOKS: dict[str, Look] = {
    "baseline": Look("as it is", INK, "", (5, 1.5)),
    "second_order": Look("without second-order effects", "#a3a3a3", "v", (2.5, 1.5)),
    "significant": Look("without significant ones", "#d5521a", "s"),
    "insignificant": Look("without all others", "#0072b2", "o"),
    "random": Look("without as many at random", "#e3b800", "P", (1.5, 1)),
    "direction": Look("along one direction each", "#0f7a4f", "D"),
    "words": Look("along m words each", "#3d1a5e", "^"),
    "first_order": Look("without direct effects", "#6db8ee", "X"),
    "indirect": Look("neurons ablated in a pass", "#d68ab8", "p"),
}


class Results(NamedTuple):
    """Accuracies of the blocks of one variant."""

    frames: dict[str, pd.DataFrame]  # by "block 1"
    ids: dict[str, str]

    @property
    def numbers(self) -> pd.DataFrame:
        """All in one table."""
        return pd.concat([frame.assign(block=name) for name, frame in self.frames.items()])[
            ["block", "method", "value", "accuracy", "images", "significant"]
        ].reset_index(drop=True)

    @property
    def images(self) -> int:
        """How many test images."""
        return int(max(frame["images"].max() for frame in self.frames.values()))

    def stamp(self, name: str, heading: str) -> Stamp:
        """Of a figure."""
        return derived_stamp(name, SCHEMA, {"heading": heading}, self.ids)


def read_results(accuracies: Sequence[Path], blocks: Sequence[int]) -> Results:
    """Tables of ACCURACY, one per block."""
    tables = {f"block {block}": read_table(p, ACCURACY) for block, p in zip(blocks, accuracies, strict=True)}
    ids = {name: table.stamp.id for name, table in tables.items()}
    return Results({name: table.frame for name, table in tables.items()}, ids)


def panels(title: str, shown: Sequence[str], names: Sequence[str]) -> tuple[Canvas, dict[str, Any]]:
    """A page-wide canvas with a legend of methods, and axes by panel."""
    handles = [
        Line2D([], [], color=look.color, marker=look.marker or None, label=look.label, ms=3.8, mew=0)
        for look in (LOOKS[name] for name in shown)
    ]
    for handle, name in zip(handles, shown, strict=True):
        if LOOKS[name].dashes:
            handle.set_linestyle((0, LOOKS[name].dashes))
    head, lines = Head(title, handles, PAGE), lines_of(len(names))
    canvas = Canvas(PAGE, head.height + 0.05 + len(lines) * (TITLE + BODY + AXIS))
    head.draw(canvas)
    slot = (PAGE - EDGE - RIGHT - BETWEEN * (len(lines[0]) - 1)) / len(lines[0])
    axes = {}
    for row, line in enumerate(lines):
        top = head.height + 0.05 + row * (TITLE + BODY + AXIS)
        for column, place in enumerate(line):
            left = EDGE + column * (slot + BETWEEN)
            canvas.text(left + NUMBERS, top + 0.06, names[place], 7.5)
            made = canvas.axes(left + NUMBERS, top + TITLE, slot - NUMBERS, BODY)
            made.grid(axis="y")
            axes[names[place]] = made
    return canvas, axes


def draw(axes: Any, method: str, x: Sequence[float], y: Sequence[float]) -> None:
    """A line with its markers; one number is a level across the panel."""
    look = LOOKS[method]
    style = {"color": look.color, "linestyle": (0, look.dashes) if look.dashes else "-"}
    if len(y) == 1 and not x:
        axes.axhline(100 * y[0], **style, lw=1)
        return
    axes.plot(x, 100 * np.array(y), marker=look.marker or None, mew=0, **style)


def level(axes: Any, frame: pd.DataFrame, method: str) -> None:
    """A method that does not depend on what the x axis shows."""
    own = frame.loc[frame["method"] == method, "accuracy"].tolist()
    if own:
        draw(axes, method, [], own)


def curve(axes: Any, frame: pd.DataFrame, method: str, scale: float = 1.0) -> None:
    """A method over its values."""
    own = frame[frame["method"] == method].sort_values("value")
    if len(own):
        draw(axes, method, (scale * own["value"]).tolist(), own["accuracy"].tolist())


def label(axes: Any, x: str, first: bool) -> None:
    """Names of the axes."""
    axes.set_xlabel(x, labelpad=1)
    axes.set_ylabel("zero-shot accuracy, %" if first else "", labelpad=2)
    axes.tick_params(axis="x", colors=MUTED)


def one_scale(axes: Iterable[Any]) -> None:
    """The same range of accuracies in all panels, of at least LEAST points: less is noise of some images."""
    panels = list(axes)
    low, high = (pick(own.get_ylim()[i] for own in panels) for i, pick in enumerate((min, max)))
    room = max(0.0, LEAST - (high - low)) / 2
    for own in panels:
        own.set_ylim(low - room, high + room)
