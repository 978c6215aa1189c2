"""How often pictures mislead the model, by how the words on them were found (V3)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp, read_table
from reliance.base.claims import Finding
from reliance.base.means import interval
from reliance.figures import style
from reliance.figures.canvas import EDGE, RIGHT, Canvas
from reliance.figures.captions import compose, counted
from reliance.figures.lens.bars import Bar, draw_panel, height, labels_width
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.findings import WAYS, in_all, misled
from reliance.lens.schema import ATTACKS, GENERATED

SCHEMA = 1
DRAWN, MADE = "drawn pictures", "generated images"
COLOURS = {
    "neurons": "#0072b2",
    "indirect": "#d68ab8",
    "similar": "#0f7a4f",
    "random": "#e3b800",
    "nothing": "#a3a3a3",
}
LOOKS = {way: style.Look(said, COLOURS[way]) for way, said in WAYS.items()}
BETWEEN = 0.3  # inches
CONTENT = (
    "Share of pictures of one class on which the model prefers the target, the class that it was chosen to "
    "be drawn to, with 95 % intervals."
)
JUDGED = "Whether words of neurons mislead more often, by pairs of classes:"


def lens_adversarial(
    *, shown: Shown, sheet: Sheet, attacks: Path | None = None, generated: Path | None = None
) -> None:
    """Draw the share of pictures on which the target wins. attacks : ATTACKS. generated : GENERATED."""
    drawn = read_table(attacks, ATTACKS) if attacks else None
    made = read_table(generated, GENERATED) if generated else None
    parts, found, ids = list[pd.DataFrame](), list[Finding](), dict[str, str]()
    content = [CONTENT]
    if drawn is not None:
        parts.append(of_drawn(drawn.frame))
        found += misled(drawn.frame, DRAWN)
        ids["attacks"] = drawn.stamp.id
        content.append(
            f"Drawn pictures: {_counts(parts[-1])} of each kind; intervals over pairs (Student's t)."
        )
    if made is not None:
        parts.append(of_generated(made.frame))
        found += misled(made.frame, MADE)
        ids["generated"] = made.stamp.id
        content.append(f"Generated images: {_counts(parts[-1])}; intervals over images (Wilson).")
    numbers = pd.concat(parts, ignore_index=True)
    words = compose("Misleading words", "What draws to another class", shown.heading, content, JUDGED, found)
    with style.rc():
        stamp = derived_stamp("lens_adversarial_figure", SCHEMA, {"heading": shown.heading}, ids)
        sheet.write(draw(numbers, shown.heading), numbers, stamp, words)


def of_drawn(attacks: pd.DataFrame) -> pd.DataFrame:
    """Rows of the numbers of drawn pictures: means over pairs, each of as many pictures."""
    rows = []
    for way in [way for way in WAYS if way in set(attacks["way"])]:
        own = attacks[attacks["way"] == way]
        mean, low, high = interval(own["success"].to_numpy())
        ends = (np.maximum(low, 0), np.minimum(high, 1))
        rows.append((DRAWN, way, mean, *ends, own["margin"].mean(), len(own), int(own["pictures"].sum())))
    return pd.DataFrame(rows, columns=COLUMNS)


def of_generated(generated: pd.DataFrame) -> pd.DataFrame:
    """The same of generated images: shares of all images."""
    return in_all(generated).assign(of=MADE)[list(COLUMNS)]


COLUMNS = ("of", "way", "success", "low", "high", "margin", "pairs", "pictures")


def draw(numbers: pd.DataFrame, heading: str) -> Any:
    """A panel of bars for drawn pictures, and one for generated images."""
    panels = {
        of: [Bar(LOOKS[row["way"]], *(row[n] for n in ("success", "low", "high"))) for row in own]
        for of in (DRAWN, MADE)
        for own in [numbers[numbers["of"] == of].to_dict("records")]
        if own
    }
    top = 0.22 if heading else 0.0
    canvas = Canvas(style.PAGE, top + max(height(len(bars)) for bars in panels.values()))
    canvas.text(EDGE, 0.06, heading, 8)
    names = {of: labels_width(bars) for of, bars in panels.items()}
    room = style.PAGE - EDGE - RIGHT - sum(names.values()) - BETWEEN * (len(panels) - 1)
    width, left = min(room / len(panels), 3.2), EDGE
    for of, bars in panels.items():
        left += names[of]
        axes = draw_panel(canvas, (left, top, width), of, bars)
        axes.set_xlabel("the target wins, %", labelpad=1)
        left += width + BETWEEN
    return canvas.figure


def _counts(numbers: pd.DataFrame) -> str:
    pairs, pictures = int(numbers["pairs"].max()), int(numbers["pictures"].max())
    return f"{counted(pairs, 'pair')} of classes, {pictures:,} pictures"
