"""Repairs: spurious AUC before and after by kind of failure, and what a closed gap costs in accuracy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reliance.base.artifacts import derived_stamp, read_table
from reliance.base.claims import HELD, bullets
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head
from reliance.figures.captions import counted
from reliance.figures.sheet import Sheet, Shown
from reliance.repair.candidates import REPAIRS as KINDS
from reliance.repair.findings import findings
from reliance.repair.schema import REPAIRS

SCHEMA = 1
LOOKS = {
    "before": style.Look("as it is", style.MUTED, "o"),
    "words": style.Look("words", "#0072b2", "s"),
    "contrast": style.Look("contrast", "#86c0ea", "^"),
    "text_edit": style.Look("text edit", "#1a9e77", "D"),
    "unit_edit": style.Look("unit edit", "#d55e00", "v"),
    "probe": style.Look("probe", "#3d1a5e", "P"),
}
HEIGHT, FOOTER = 2.1, 0.42  # inches
CONTENT = (
    "Left: mean over cases of the area under the ROC curve that tells the images of a class from the "
    "distractors of a case, before and after each kind of repair; error bars: std(ddof=1)/sqrt(cases). "
    "Right: every repair that was tried, the share of the gap between valid and spurious AUC that it closes "
    "against what it does to zero-shot accuracy over all classes, in points. All on the half of the images "
    "that nothing was learned from."
)


def repairs(*, repairs: Path, shown: Shown, sheet: Sheet) -> None:
    """Draw both panels from the table of repairs of one variant."""
    table = read_table(repairs, REPAIRS)
    numbers = numbers_of(table.frame)
    done = table.frame.groupby("case_id")["recommended"].any()
    words = [
        f"**Repairs: {shown.heading}.** {CONTENT}",
        f"Of {counted(len(done), 'case')}, {int(done.sum())} have a repair that does the job.",
    ]
    held = bullets(findings(table.frame))
    with style.rc():
        sheet.write(
            draw(numbers, table.frame, shown.heading),
            numbers,
            derived_stamp("repairs_figure", SCHEMA, {"heading": shown.heading}, {"repairs": table.stamp.id}),
            " ".join(words) + (f"\n\n{HELD}:\n\n{held}" if held else ""),
        )


def numbers_of(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per kind of failure and repair ("before" is none): cases, AUCs, accuracy, how many are halved."""
    rows = []
    for kind in style.FAILURES:
        own = frame[frame["kind"] == kind]
        for repair in LOOKS if len(own) else ():
            part = own[own["repair"] == (KINDS[0] if repair == "before" else repair)]
            side = "before" if repair == "before" else "after"
            auc = part[f"{side}_spurious"]
            error = auc.std(ddof=1) / np.sqrt(len(auc)) if len(auc) > 1 else np.nan
            valid, top1 = (part[f"{side}_{name}"].mean() for name in ("valid", "top1"))
            halved = np.nan if repair == "before" else part["halves"].mean()
            rows.append((kind, repair, len(part), auc.mean(), error, valid, top1, halved))
    names = ["kind", "repair", "cases", "spurious_auc", "error", "valid_auc", "accuracy", "halved"]
    return pd.DataFrame(rows, columns=names)


def draw(numbers: pd.DataFrame, frame: pd.DataFrame, title: str) -> Figure:
    """The two panels side by side."""
    handles = [
        Line2D([], [], marker=look.marker, ls="", color=look.color, label=look.label)
        for look in LOOKS.values()
    ]
    head = Head(title, handles, style.PAGE)
    canvas = Canvas(style.PAGE, head.height + HEIGHT + FOOTER + 0.08)
    head.draw(canvas)
    width = (style.PAGE - 2 * EDGE - RIGHT) / 2 - 0.5
    _before_and_after(canvas.axes(EDGE + 0.42, head.height + 0.08, width + 0.3, HEIGHT), numbers)
    left = EDGE + 0.42 + width + 0.3 + 0.55
    _cost(canvas.axes(left, head.height + 0.08, style.PAGE - left - RIGHT, HEIGHT), frame)
    return canvas.figure


def _before_and_after(axes: Any, numbers: pd.DataFrame) -> None:
    kinds: Sequence[str] = list(dict.fromkeys(numbers["kind"]))
    shift = np.linspace(-0.3, 0.3, len(LOOKS))
    for offset, (repair, look) in zip(shift, LOOKS.items(), strict=True):
        own = numbers[numbers["repair"] == repair]
        x = [kinds.index(kind) + offset for kind in own["kind"]]
        axes.errorbar(x, own["spurious_auc"], own["error"], fmt=look.marker, color=look.color, lw=0.8)
    axes.set_xticks(range(len(kinds)), [style.FAILURES[kind].label.replace(" ", "\n") for kind in kinds])
    axes.set_ylabel("spurious AUC")
    axes.set_ylim(top=1.01)
    axes.grid(axis="y")


def _cost(axes: Any, frame: pd.DataFrame) -> None:
    gap = [frame[f"{side}_valid"] - frame[f"{side}_spurious"] for side in ("before", "after")]
    share = 100 * (1 - gap[1] / gap[0].where(gap[0] > 0))
    points = 100 * (frame["after_top1"] - frame["before_top1"])
    for repair, look in LOOKS.items():
        own = (frame["repair"] == repair).to_numpy()
        axes.plot(points[own], share[own], look.marker, color=look.color, ms=2.6, alpha=0.8)
    axes.axhline(50, color=style.MUTED, lw=0.6, ls="--")
    axes.axvline(0, color=style.MUTED, lw=0.6)
    axes.set_xlabel("accuracy over all classes, change in points")
    axes.set_ylabel("share of the gap closed, %")
