"""How far accuracies fall when images are changed, and what that says about a shortcut."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.schema import INCREASED, NONE, PLAIN, ROBUST

MANY = 3.0  # standard errors: a larger fall is no accident


class Drop(NamedTuple):
    """How much the accuracy of a class falls when the images are changed."""

    drop: float  # accuracy without the change - accuracy with it
    sem: float  # as if the two were of different images, as the paper has it
    paired_sem: float  # of the difference over the same images


def drop_of(frame: pd.DataFrame, probe: str, alpha: float, positive: bool, change: str = INCREASED) -> Drop:
    """Fall of a class's accuracy under a change; `sem` is that of two independent accuracies.

    It takes an accuracy p of n images for (n p + 1) / (n + 2): errors of few images that are all right or
    all wrong are not zero.
    """
    rows = frame[(frame["probe"] == probe) & (frame["alpha"] == alpha) & (frame["positive"] == positive)]
    wanted = rows.set_index("change").loc[[NONE, change]]
    n = wanted["n"].to_numpy(float)
    before, after = wanted["accuracy"].to_numpy()
    p = (n * wanted["accuracy"].to_numpy() + 1) / (n + 2)
    sem = float(np.sqrt((p * (1 - p) / n).sum()))
    return Drop(float(before - after), sem, float(wanted["paired_sem"].iloc[1]))


def verdict(frame: pd.DataFrame, alpha: float) -> dict[str, Any]:
    """What the accuracies say: drops per probe and class, claim, fallen, halved.

    claim : the plain probe's accuracy of a class falls by more than MANY standard errors.
    fallen : that class, "positive" | "negative", the one that falls further; "" without a claim.
    halved : the robust probe's fall of that class is at most half as large; None without a claim.
    """
    sides = {"positive": True, "negative": False}
    plain = {name: drop_of(frame, PLAIN, 0.0, side) for name, side in sides.items()}
    robust = {name: drop_of(frame, ROBUST, alpha, side) for name, side in sides.items()}
    claimed = [name for name, d in plain.items() if d.drop > 0 and d.drop > MANY * d.sem]
    fallen = max(claimed, key=lambda name: plain[name].drop, default="")
    halved = robust[fallen].drop <= plain[fallen].drop / 2 if fallen else None
    drops = {PLAIN: plain, ROBUST: robust}
    return {
        "drops": {probe: {n: d._asdict() for n, d in found.items()} for probe, found in drops.items()},
        "claim": bool(fallen),
        "fallen": fallen,
        "halved": halved,
    }
