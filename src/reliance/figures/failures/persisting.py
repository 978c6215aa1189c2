"""Failures that persist from one model to the next, and those that one of them has alone."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reliance.base.artifacts import derived_stamp, read_table
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head, width_of
from reliance.figures.captions import counted
from reliance.figures.sheet import Sheet, Shown
from reliance.matching.persistence import OUTCOMES, PERSISTENCE

SCHEMA = 1
BAR, GAP, FOOTER = 0.2, 0.08, 0.36  # heights, inches
OUTCOME = {
    "persists": style.Look("persists", "#d55e00"),
    "elsewhere": style.Look("fooled by another unit", "#e3b800"),
    "gone": style.Look("same unit, no longer fooled", "#1a9e77"),
    "unseen": style.Look("no such unit, not fooled", "#a3a3a3"),
}


class Bar(NamedTuple):
    """What becomes of the cases of one variant in another one."""

    label: str
    counts: list[int]  # by outcome, in the order of OUTCOMES


def persisting(*, persistence: Path, shown: Shown, sheet: Sheet) -> None:
    """Draw a bar per pair of variants, both ways.

    persistence : the cases of each variant of a comparison in each other one. shown : the variants.
    """
    table = read_table(persistence, PERSISTENCE)
    numbers = numbers_of(table.frame)
    with style.rc():
        sheet.write(
            draw_bars(bars_of(numbers), shown.heading),
            numbers,
            derived_stamp(
                "persisting",
                SCHEMA,
                {"heading": shown.heading, "skipped": list(shown.skipped)},
                {"persistence": table.stamp.id},
            ),
            _words(table.frame, shown),
        )


def numbers_of(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per pair of variants, kind of failure and outcome, with how many cases: variant, other, ..."""
    keys = ["variant", "other", "kind", "outcome"]
    found: pd.DataFrame = frame.groupby(keys, sort=False).size().rename("cases").reset_index()
    return found


def bars_of(numbers: pd.DataFrame) -> list[Bar]:
    """One bar per pair, those of a pair and its reverse below each other."""
    counts = numbers.pivot_table(
        index=["variant", "other"], columns="outcome", values="cases", aggfunc="sum", fill_value=0, sort=False
    ).reindex(columns=OUTCOMES, fill_value=0)
    return [
        Bar(f"{one} in {other}", [int(n) for n in row])
        for (one, other), row in zip(counts.index, counts.to_numpy(), strict=True)
    ]


def draw_bars(bars: list[Bar], title: str) -> Figure:
    """Stacked bars of cases, one below the other."""
    looks = [OUTCOME[name] for name in OUTCOMES]
    handles = [Line2D([], [], marker="s", ls="", color=look.color, label=look.label) for look in looks]
    head = Head(title, handles, style.PAGE)
    rows = max(len(bars), 1)
    height = rows * BAR + (rows - 1) * GAP
    canvas = Canvas(style.PAGE, head.height + height + FOOTER + 0.05)
    head.draw(canvas)
    left = EDGE + max((width_of(bar.label, 7) for bar in bars), default=0.5) + 0.12
    left = min(left, style.PAGE / 2)
    axes = canvas.axes(left, head.height + 0.05, style.PAGE - left - RIGHT - 0.1, height)
    scale = rows / height
    for row, bar in enumerate(bars):
        start = 0
        for look, count in zip(looks, bar.counts, strict=True):
            axes.barh(row, count, BAR * scale, left=start, color=look.color)
            if count:
                axes.text(start + count / 2, row, str(count), ha="center", va="center", color="white")
            start += count
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.set_xlabel("failure cases of the first, in the second")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return canvas.figure


def _words(frame: pd.DataFrame, shown: Shown) -> str:
    rows = [
        f"Of {counted(len(own), 'case')} of {one}, {int((own['outcome'] == 'persists').sum())} persist in "
        f"{other} and {int(own['outcome'].isin(['gone', 'unseen']).sum())} are its alone."
        for (one, other), own in frame.groupby(["variant", "other"], sort=False)
    ]
    content = [
        "What becomes of each mined failure case of one model in another one. A case is a prompt and the "
        "unit that fools it; units of two models are the same if their activations on the same images "
        "correlate (matches.parquet). It persists if the same prompt is fooled through the same unit there; "
        "it may be fooled through another unit, or no longer, whether the unit is there or not.",
        *rows,
    ]
    if shown.skipped:
        content.append(f"Left out, without failure cases of their own units: {', '.join(shown.skipped)}.")
    title = f": {shown.heading}" if shown.heading else ""
    return " ".join([f"**Failures across models{title}.**", *content])
