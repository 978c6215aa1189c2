"""What the figures of an audit share: its numbers, and panels of accuracies under changed images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.findings import gain_of
from reliance.audits.schema import ACCURACIES, AUDIT_KIND, AUDIT_SCHEMA, CHANGES, INCREASED, NONE, REDUCED
from reliance.base.artifacts import check_same, read_json, read_table
from reliance.figures import style
from reliance.figures.gallery import DPI, cut, harmless
from reliance.figures.style import Look

JUDGED = (
    "What the paper found, held against these numbers (a fall counts if it is larger than three of its "
    "standard errors, which take the images before and after as independent):"
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
    axes: Any, accuracies: pd.DataFrame, positive: bool, curves: Sequence[Curve], ticks: Sequence[str]
) -> None:
    """Accuracy of a class under every change, one curve per probe, with standard errors.

    ticks : what the changes are called.
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
    axes.set_xticks(places, ticks)
    axes.set_ylabel("accuracy (%)", labelpad=2)
    axes.grid(axis="y")
    axes.set_ylim(*limits(accuracies))  # of both classes: panels are compared


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
    said = [gain_of(about, name) for name in (REDUCED, INCREASED) if name in about["transforms"]]
    return f"Changes of the images before they are embedded, cut at white: {' and '.join(said)}."


def chosen_by(about: Mapping[str, Any]) -> str:
    """How the component was chosen, as a sentence."""
    label = harmless(about["label"])
    name = f"#{about['component']}{f' ({label})' if label else ''}"
    cosine = f"cosine {about['shift']:.2f}".replace("-", "−")
    ranked = f"Audited is {name}, number {about['rank']} by relevance"
    many = len(about["considered"])
    if about["shift"] <= 0:
        why = (
            "it was asked for"
            if about["given"]
            else "the change of the images moves none of the others either"
        )
        return f"{ranked}: {why}. Embeddings do not move along its direction ({cosine} with the change)."
    if about["given"] or many == 1:
        return f"{ranked}{', which was asked for' if about['given'] else ''} ({cosine} with the change)."
    return (
        f"{ranked}: of the first {many} the one with the largest product of relevance and of the share of "
        f"what the change of the images does to embeddings that lies along its direction ({cosine})."
    )


def ticks_of(about: Mapping[str, Any], accuracies: pd.DataFrame) -> list[str]:
    """How the images were changed, in the order of `changes_of`."""
    return ["as it is" if change == NONE else gain_of(about, change) for change in changes_of(accuracies)]
