"""Segmentation of the class that wins: how well each method does, and precision against recall (V4)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp, read_table
from reliance.base.means import interval
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas
from reliance.figures.captions import compose
from reliance.figures.lens.bars import AXIS, HEAD, Bar, draw_panel, height, labels_width
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.findings import segmented
from reliance.lens.schema import CURVE, RECALLS, SEGMENTS

SCHEMA = 1
MEASURES = {"accuracy": "pixels right", "iou": "IoU", "precision": "average precision"}
LOOKS = {
    "signed neurons": style.Look("neurons, signed", "#0072b2", "o"),
    "published rule": style.Look("neurons, unsigned", "#6db8ee", "^", (4, 1.2)),
    "random neurons": style.Look("neurons at random", "#e3b800", "P", (1.5, 1)),
    "exact sum": style.Look("exact sum of y", "#0f7a4f", "D"),
    "raw attention": style.Look("raw attention", "#d5521a", "s", (5, 1.2, 1.2, 1.2)),
    "rollout": style.Look("attention rolled out", "#3d1a5e", "v", (2.5, 1.2)),
}
BETWEEN, NUMBERS = 0.14, 0.42  # inches
JUDGED = "Whether neurons segment better, by pictures, as pairs:"


def lens_segmentation(*, scored: Path, shown: Shown, sheet: Sheet) -> None:
    """Draw means with their intervals, and curves. scored : SEGMENTS."""
    table, heading = read_table(scored, SEGMENTS), shown.heading
    numbers = numbers_of(table.frame)
    pictures, area = int(numbers["pictures"].max()), float(table.frame["area"].mean())
    content = [
        f"Means over {pictures:,} test pictures with 95 % intervals (Student's t): share of pixels on the "
        "right side of one half of the scaled heat; intersection over union, mean of inside and outside; "
        "average precision of pixels. Right, in the same colours: precision where recall reaches 5, 10, ... "
        f"100 %, mean over pictures; the level is the mean share that a mask has of its picture "
        f"({100 * area:.1f} %), which an order that knows nothing gets.",
    ]
    words = compose("Segmentation", "The class that wins", heading, content, JUDGED, segmented(table.frame))
    with style.rc():
        stamp = derived_stamp("lens_segmentation", SCHEMA, {"heading": heading}, {"scored": table.stamp.id})
        sheet.write(draw(numbers, area, heading), numbers, stamp, words)


def numbers_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean, interval and pictures of every method: of the measures, and of precision at each recall."""
    recalls = dict(zip(CURVE, RECALLS, strict=True))
    rows = []
    for method in LOOKS:
        own = scores[scores["method"] == method]
        for name in (*MEASURES, *CURVE):
            values = own[name].to_numpy(np.float64)
            mean, low, high = interval(values)
            said = "precision at recall" if name in recalls else MEASURES[name]
            count = int((~np.isnan(values)).sum())
            rows.append((method, said, recalls.get(name, np.nan), mean, low, high, count))
    names = ["method", "measure", "recall", "mean", "low", "high", "pictures"]
    return pd.DataFrame(rows, columns=names)


def draw(numbers: pd.DataFrame, area: float, heading: str) -> Any:
    """Panels of bars, and curves beside them in the same colours."""
    panels = {
        said: [Bar(LOOKS[row["method"]], *(row[n] for n in ("mean", "low", "high"))) for row in own]
        for said in MEASURES.values()
        for own in [numbers[numbers["measure"] == said].to_dict("records")]
    }
    top, names = 0.22 if heading else 0.0, labels_width(next(iter(panels.values())))
    canvas = Canvas(style.PAGE, top + height(len(LOOKS)))
    canvas.text(EDGE, 0.06, heading, 8)
    width = (style.PAGE - EDGE - RIGHT - names - NUMBERS - 3 * BETWEEN) / 4.3
    for i, (said, bars) in enumerate(panels.items()):
        left = EDGE + names + i * (width + BETWEEN)
        draw_panel(canvas, (left, top, width), said, bars, named=i == 0)
    left = EDGE + names + 3 * (width + BETWEEN) + NUMBERS
    canvas.text(left, top + 0.04, "precision against recall", 7)
    room = style.PAGE - RIGHT - 0.05 - left  # the last number of the axis is wide
    axes = canvas.axes(left, top + HEAD, room, height(len(LOOKS)) - HEAD - AXIS)
    axes.axhline(100 * area, color=style.MUTED, lw=0.7, ls=(0, (1, 1.5)))
    for method, look in LOOKS.items():
        own = numbers[(numbers["method"] == method) & numbers["recall"].notna()]
        line = (0, look.dashes) if look.dashes else "-"
        axes.plot(own["recall"], 100 * own["mean"], color=look.color, linestyle=line)
    axes.set_xlim(0, 100)
    axes.grid(axis="y")
    axes.set_xlabel("recall of pixels, %", labelpad=1)
    axes.set_ylabel("precision, %", labelpad=2)
    return canvas.figure
