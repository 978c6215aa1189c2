"""What the figures of an audit share: its numbers, and panels of accuracies under changed images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.casestudy.schema import ACCURACIES, AUDIT_KIND, AUDIT_SCHEMA, CHANGES, INCREASED, REDUCED
from reliance.figures import style
from reliance.figures.gallery import DPI, cut, harmless
from reliance.figures.style import Look
from reliance.identity import check_same, read_json, read_table

JUDGED = (
    "What the paper found, held against these numbers (a fall is told from an accident if it is larger than "
    "three of its standard errors):"
)
BESIDE = 0.09  # how far the points of two curves lie apart, in units of the axis


class Audit(NamedTuple):
    """An audit as read."""

    about: Mapping[str, Any]  # audit.json
    accuracies: pd.DataFrame
    names: tuple[str, str]  # of the positive and the negative class, as drawn
    probe: str  # id of the probes
    ids: dict[str, str]


class Curve(NamedTuple):
    """Accuracies of one probe, per class."""

    look: Look
    probe: str
    alpha: float


def read_audit(audit: Path, accuracies: Path) -> Audit:
    """Read both; raises RelianceError if they do not belong together."""
    about, stamp = read_json(audit, AUDIT_KIND, AUDIT_SCHEMA)
    table = read_table(accuracies, ACCURACIES)
    check_same("accuracies", (audit, stamp.inputs["accuracies"]), (accuracies, table.stamp.id))
    first, second = (harmless(str(name)) for name in about["names"])
    ids = {"audit": stamp.id, "accuracies": table.stamp.id}
    return Audit(about, table.frame, (first, second), table.stamp.inputs["probe"], ids)


def changes_of(accuracies: pd.DataFrame) -> list[str]:
    """The changes that were tried, in order."""
    return [change for change in CHANGES if change in set(accuracies["change"])]


def draw_accuracies(
    axes: Any, accuracies: pd.DataFrame, positive: bool, curves: Sequence[Curve], *, labelled: bool
) -> None:
    """Accuracy of a class under every change, one curve per probe, with standard errors.

    labelled : whether the changes are named below the axis.
    """
    changes = changes_of(accuracies)
    places = np.arange(len(changes), dtype=float)
    for i, curve in enumerate(curves):
        rows = accuracies[(accuracies["probe"] == curve.probe) & (accuracies["alpha"] == curve.alpha)]
        rows = rows[rows["positive"] == positive].set_index("change").loc[changes]
        axes.errorbar(
            places + (i - (len(curves) - 1) / 2) * BESIDE,
            100 * rows["accuracy"],
            100 * rows["sem"],
            color=curve.look.color,
            marker=curve.look.marker,
            markersize=3.4,
            markeredgewidth=0,
            elinewidth=0.9,
            linewidth=0.9,
            capsize=1.5,
            capthick=0.7,
            zorder=3 + i,
        )
    axes.set_xlim(-0.4, len(changes) - 0.6)
    axes.set_xticks(places, changes if labelled else [""] * len(changes))
    axes.set_ylabel("accuracy (%)", labelpad=2)
    axes.grid(axis="y")
    axes.set_ylim(*limits(accuracies[accuracies["positive"] == positive]))


def limits(accuracies: pd.DataFrame) -> tuple[float, float]:
    """Ends of an axis in percent: all accuracies with their errors, at least ten points, hardly above 100."""
    low = 100 * float((accuracies["accuracy"] - accuracies["sem"]).min())
    high = 100 * float((accuracies["accuracy"] + accuracies["sem"]).max())
    spare = max(0.1 * (high - low), (10 - (high - low)) / 2)
    return low - spare, min(high + spare, max(high, 100) + 0.03 * (high - low + 2 * spare))


def panel_title(axes: Any, text: str, note: str, width: float) -> None:
    """A title of a panel, cut to `width` inches, and a note below it."""
    for said, up, size, color in ((text, 10, 7.5, style.INK), (note, 2, 6.0, style.MUTED)):
        short = cut(said, width * DPI, size)
        axes.annotate(short, (0, 1), (0, up), "axes fraction", "offset points", fontsize=size, color=color)


def explained(about: Mapping[str, Any]) -> str:
    """What the changes of the images were, as a sentence."""
    made = [name for name in (REDUCED, INCREASED) if name in about["transforms"]]
    said = [f"{name} ({_transform(about['transforms'][name])})" for name in made]
    return f"Changes of the images before they are embedded: {' and '.join(said)}."


def chosen_by(about: Mapping[str, Any]) -> str:
    """How the component was chosen, as a sentence."""
    label = harmless(about["label"])
    name = f"#{about['component']}{f' ({label})' if label else ''}"
    if about["given"]:
        return f"Audited is {name}, which was asked for; it is number {about['rank']} by relevance."
    if about["shift"] is None:
        return f"Audited is {name}, the most relevant one."
    return (
        f"Audited is {name}, number {about['rank']} by relevance: of the first {len(about['considered'])} "
        "the one with the largest product of relevance and of the cosine between its direction and what the "
        f"change of the images does to embeddings (here {about['shift']:.2f})."
    )


def content_of(about: Mapping[str, Any]) -> str:
    """What was made stronger or weaker, as the label of an axis."""
    channel = about["transforms"][INCREASED]["channel"]
    return "brightness of the image" if channel == "all" else f"{channel} in the image"


def _transform(change: Mapping[str, Any]) -> str:
    """A channel gain in words."""
    return f"{change['channel']} × {1 - change['delta']:g}, cut at white"
