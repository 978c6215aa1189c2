"""How much of a neuron's effects lies along one direction, and how many things it is about."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp, read_table
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas
from reliance.figures.captions import written
from reliance.figures.lens.results import AXIS, BETWEEN, BODY, NUMBERS, SCHEMA, TITLE
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.neurons import NEURONS

MEASURES = {
    "explained": "share of effects along one direction",
    "spread": "distance between its words",
    "clarity": "clarity of its strongest images",
}
COLOURS = ("#86c0ea", "#0072b2", "#3d1a5e", "#1a9e77", "#e3b800", "#d5521a")


def lens_direction(*, neurons: Sequence[Path], blocks: Sequence[int], shown: Shown, sheet: Sheet) -> None:
    """Draw distributions over neurons, a line per block. neurons : tables of NEURONS, one per block."""
    tables = {f"block {block}": read_table(p, NEURONS) for block, p in zip(blocks, neurons, strict=True)}
    numbers = pd.concat([t.frame.assign(block=name) for name, t in tables.items()], ignore_index=True)
    heading = shown.heading
    top = 0.25 if heading else 0.05
    with style.rc():
        canvas = Canvas(style.PAGE, top + TITLE + BODY + AXIS)
        canvas.text(EDGE, 0.06, heading, 8)
        slot = (style.PAGE - EDGE - RIGHT - 2 * BETWEEN) / 3
        for i, (name, said) in enumerate(MEASURES.items()):
            corner = EDGE + i * (slot + BETWEEN) + NUMBERS
            axes = canvas.axes(corner, top + TITLE, slot - NUMBERS, BODY)
            for colour, (block, table) in zip(_colours(len(tables)), tables.items(), strict=True):
                values = np.sort(table.frame[name].dropna().to_numpy(np.float64))
                axes.plot(values, np.linspace(0, 100, len(values)), color=colour, label=block)
            axes.grid(axis="y")
            axes.set_xlabel(said, labelpad=1)
            axes.set_ylabel("neurons up to it, %" if i == 0 else "", labelpad=2)
            if i == 0:
                axes.legend(loc="upper left")
        means = "; ".join(
            f"{block}: {table.frame['explained'].mean():.2f} along one direction, spread "
            f"{table.frame['spread'].mean():.2f}, clarity {table.frame['clarity'].mean():.2f}"
            for block, table in tables.items()
        )
        words = written(
            "Directions",
            "One direction, several things",
            heading,
            [
                "Distributions over the neurons of each block: share of the first singular vector in the "
                "effects "
                "on the neuron's strongest images; how far apart its words are, 0 for one word; how alike "
                "its "
                "strongest images are."
            ],
            "Means over neurons:",
            f"- {means}",
        )
        stamp = derived_stamp(
            "lens_direction", SCHEMA, {"heading": heading}, {name: t.stamp.id for name, t in tables.items()}
        )
        columns = ["block", "component", *MEASURES, "norm", "words", "label", "alignment"]
        sheet.write(canvas.figure, numbers[columns], stamp, words)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
