"""Fig. 15: how strong an augmentation makes a linear probe robust."""

from pathlib import Path
from typing import Any

from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D

from reliance.audits.doubts import doubts
from reliance.audits.findings import findings, name_of
from reliance.audits.schema import PLAIN, RELEVANCES, ROBUST
from reliance.base.artifacts import check_same, derived_stamp, read_table
from reliance.figures import style
from reliance.figures.audits.accuracies import (
    JUDGED,
    Audit,
    Curve,
    chosen_by,
    draw_accuracies,
    explained,
    panel_title,
    read_audit,
    ticks_of,
)
from reliance.figures.canvas import EDGE, RIGHT, Canvas, Head
from reliance.figures.captions import compose
from reliance.figures.gallery import look
from reliance.figures.sheet import Sheet, Shown
from reliance.figures.style import Look

SCHEMA = 1
LIGHT, DARK = "#9ccbec", "#08306b"  # of the weakest and the strongest augmentation
MARKERS = "o^sDv<>p"
BODY, TITLES, AXIS, NUMBERS, BETWEEN = 1.6, 0.3, 0.36, 0.42, 0.2  # inches


def fig15(
    *,
    relevances: Path,
    accuracies: Path,
    audit: Path,
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw Fig. 15: accuracy of both classes under changed images, for every strength of augmentation.

    Parameters
    ----------
    relevances, accuracies, audit : of one audit.
    shown : the one variant. sheet : where the figure goes.
    """
    read, table = read_audit(audit, accuracies), read_table(relevances, RELEVANCES)
    check_same("probe", (relevances, table.stamp.inputs["probe"]), (accuracies, read.probe))
    heading = shown.heading
    named = {True: name_of(read.about, "positive"), False: name_of(read.about, "negative")}
    numbers = read.accuracies.assign(**{"class": read.accuracies["positive"].map(named)})
    with look():
        sheet.write(
            _draw(read, heading),
            numbers[["probe", "alpha", "class", "change", "n", "accuracy", "sem"]],
            derived_stamp("fig15", SCHEMA, {"heading": heading}, {**read.ids, "relevances": table.stamp.id}),
            _words(read, table.frame, heading),
        )


def curves_of(read: Audit) -> list[Curve]:
    """The plain probe, and the robust ones from weak to strong, darker and darker."""
    alphas = sorted(set(read.accuracies.loc[read.accuracies["probe"] == ROBUST, "alpha"]))
    curves = [Curve(style.AUDITED[PLAIN]._replace(label="plain (α = 0)"), PLAIN, 0.0)]
    for i, alpha in enumerate(alphas):
        share = i / max(1, len(alphas) - 1)
        red, green, blue = (
            (1 - share) * a + share * b for a, b in zip(to_rgb(LIGHT), to_rgb(DARK), strict=True)
        )
        label = Look(f"α = {alpha:g}", to_hex((red, green, blue)), MARKERS[i % len(MARKERS)])
        curves.append(Curve(label, ROBUST, float(alpha)))
    return curves


def _draw(read: Audit, heading: str) -> Any:
    curves = curves_of(read)
    handles = [
        Line2D([], [], color=c.look.color, marker=c.look.marker, label=c.look.label, ms=3.8, mew=0)
        for c in curves
    ]
    head = Head(heading, handles, style.PAGE)
    canvas = Canvas(style.PAGE, head.height + TITLES + BODY + AXIS)
    head.draw(canvas)
    width = (style.PAGE - EDGE - RIGHT - BETWEEN) / 2 - NUMBERS
    for i, positive in enumerate((True, False)):
        left = EDGE + NUMBERS + i * (width + NUMBERS + BETWEEN)
        axes = canvas.axes(left, head.height + TITLES, width, BODY)
        draw_accuracies(axes, read.accuracies, positive, curves, ticks_of(read.about, read.accuracies))
        axes.set_xlabel("change of the images", labelpad=2)
        n = int(read.accuracies.loc[read.accuracies["positive"] == positive, "n"].iloc[0])
        panel_title(axes, read.names[i], f"{n} held-out images", width)
    return canvas.figure


def _words(read: Audit, relevances: Any, heading: str) -> str:
    content = [
        "Accuracy per class on held-out images, of a plain probe and of probes that learned from embeddings "
        "shifted by α (p − 0.5) u along the component's direction u; p is uniform on 0 to 1, one per image, "
        "the same for every α.",
        chosen_by(read.about),
        explained(read.about),
        "Error bars: standard error sqrt(p (1 − p) / n).",
        *doubts(read.accuracies, read.about).all,
    ]
    found = [
        f for f in findings(read.accuracies, relevances, read.about) if f.name in ("shortcut", "strength")
    ]
    return compose("Figure 15", "Strength of the augmentation", heading, content, JUDGED, found)
