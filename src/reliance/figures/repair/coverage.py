"""Coverage: of the images that score like a class and are not of it, how many the cases explain."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reliance.base.artifacts import derived_stamp, read_table
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head, width_of
from reliance.figures.sheet import Sheet, Shown
from reliance.images.tables import CLASSES
from reliance.repair.schema import COVERAGE as TABLE

SCHEMA, MOST = 3, 40  # classes drawn
BAR, FOOTER = 0.15, 0.36  # heights, inches
LOOKS = {
    "listed": style.Look("images of listed cases", "#0072b2", "s"),
    "explained": style.Look("explained by these", "#86c0ea", "s"),
    "alike": style.Look("look like these", "#009e73", "s"),
    "shared": style.Look("show what the class relies on", "#e69f00", "s"),
    "rest": style.Look("not explained", "#d9d9d9", "s"),
}


def coverage(*, coverage: Path, classes: Path, shown: Shown, sheet: Sheet) -> None:
    """Draw a bar per class, those with most images first."""
    table = read_table(coverage, TABLE)
    names = read_table(classes, CLASSES).frame.set_index("class_id")["short_name"]
    numbers = numbers_of(table.frame, names)
    total = table.frame[["confident", "listed", "explained", "alike", "shared"]].sum()
    share = total["explained"] / total["confident"] if total["confident"] else 0.0
    weighed = table.frame[["by_chance", "alike_below"]].mul(table.frame["confident"], axis=0)
    chance, below = weighed.sum() / max(total["confident"], 1)
    alike = total["alike"] / max(total["confident"] - total["explained"], 1)
    counted = f"{int(total['confident'])} pairs of a class and an image of another one that scores like it"
    words = (
        f"**Coverage: {shown.heading}.** Of {counted}, {share:.0%} are explained by listed cases: "
        f"{int(total['listed'])} are images of these, the others fall to the line of high confidence once "
        "the latents of a case are removed from them, exactly. Without as many other latents, at random, "
        f"{chance:.0%} fall as low. {int(total['alike'])} more, {alike:.0%} of those left, look like images "
        f"of a case to the labeller, as {below:.0%} of as many images just below the line do: likeness, not "
        f"cause. {int(total['shared'])} show a feature that the class itself relies on and fall to the line "
        "without it. "
        f"The {min(MOST, len(numbers))} classes with most such images are drawn."
    )
    stamp = derived_stamp("coverage_figure", SCHEMA, {"heading": shown.heading}, {"coverage": table.stamp.id})
    with style.rc():
        sheet.write(draw(numbers.head(MOST), shown.heading), numbers, stamp, words)


def numbers_of(frame: pd.DataFrame, names: "pd.Series[str]") -> pd.DataFrame:
    """A row per class with its name and how many images are not explained, the most images first."""
    named = frame.assign(
        name=frame["class_id"].map(names).fillna(""),
        rest=frame["confident"] - frame[["explained", "alike", "shared"]].sum(axis=1),
    )
    return named.sort_values(["confident", "class_id"], ascending=[False, True], ignore_index=True)


def draw(numbers: pd.DataFrame, title: str) -> Figure:
    """Stacked bars, one below the other."""
    handles = [
        Line2D([], [], marker=look.marker, ls="", color=look.color, label=look.label)
        for look in LOOKS.values()
    ]
    head = Head(title, handles, style.PAGE)
    height = max(len(numbers), 1) * BAR
    canvas = Canvas(style.PAGE, head.height + height + FOOTER + 0.05)
    head.draw(canvas)
    left = EDGE + max((width_of(name, 6.5) for name in numbers["name"]), default=0.5) + 0.14
    axes = canvas.axes(left, head.height + 0.05, style.PAGE - left - RIGHT, height)
    parts = {
        "listed": numbers["listed"],
        "explained": numbers["explained"] - numbers["listed"],
        "alike": numbers["alike"],
        "shared": numbers["shared"],
        "rest": numbers["rest"],
    }
    start = numbers["listed"] * 0
    for part, counts in parts.items():
        axes.barh(range(len(numbers)), counts, 0.8, left=start, color=LOOKS[part].color)
        start = start + counts
    axes.set_ylim(max(len(numbers), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(numbers)), numbers["name"])
    axes.set_xlabel("images of other classes that score like the class")
    return canvas.figure
