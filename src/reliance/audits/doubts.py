"""Why an audit may say nothing: a classifier that does not tell its classes apart, or too few images.

A class that is never told cannot be told less often: that its accuracy does not fall speaks for no
classifier. So where there is a doubt about the test there is no verdict on the classifier, and where there
is one about the direction there is none on its repair.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.schema import NONE, PLAIN

FEWEST = 10  # images of a class, or samples, from which something can be said
CLEARLY = 2.0  # standard errors above a draw between the two classes


class Doubts(NamedTuple):
    """In plain words; none where there is no such reason."""

    test: list[str]  # of what accuracies under changed images say of the classifier
    direction: list[str]  # of the direction that the robust probe is blurred along

    @property
    def all(self) -> list[str]:
        """Both, the test's first."""
        return [*self.test, *self.direction]


class Told(NamedTuple):
    """How well a class is told from the other on held-out images as they are."""

    name: str
    n: int
    accuracy: float


def told(accuracies: pd.DataFrame, audit: Mapping[str, Any]) -> list[Told]:
    """The accuracy of the plain probe for its two classes, the positive one first (columns of ACCURACIES)."""
    rows = accuracies[(accuracies["probe"] == PLAIN) & (accuracies["change"] == NONE)].set_index("positive")
    n, share = rows["n"].to_dict(), rows["accuracy"].to_dict()
    found = zip(audit["names"], (True, False), strict=True)
    return [Told(str(name), int(n[side]), float(share[side])) for name, side in found]


def balanced(both: list[Told]) -> tuple[float, float]:
    """Mean accuracy of two classes and its standard error, which takes (n p + 1) / (n + 2) for p."""
    n, p = np.array([one.n for one in both], float), np.array([one.accuracy for one in both])
    smooth = (n * p + 1) / (n + 2)
    return float(p.mean()), float(np.sqrt((smooth * (1 - smooth) / n).sum()) / 2)


def doubts(accuracies: pd.DataFrame, audit: Mapping[str, Any]) -> Doubts:
    """The doubts about an audit. accuracies : columns of ACCURACIES. audit : what audit.json says."""
    both, test, direction = told(accuracies, audit), [], []
    share, error = balanced(both)
    first, second = both
    if share - CLEARLY * error <= 0.5:
        test.append(
            f"This classifier does not tell {first.name} from {second.name}: of held-out images as they are "
            f"it is right for {first.accuracy:.0%} and {second.accuracy:.0%}, in the mean {share:.1%} ± "
            f"{error:.1%}, where a draw gets 50 %. What it relies on is no finding, and that "
            "an accuracy does not fall is none either."
        )
    if few := [one for one in both if one.n < FEWEST]:
        listed = " and ".join(f"{one.n} of {one.name}" for one in few)
        test.append(
            f"The classifier was tested on {listed}: fewer than {FEWEST} images of a class say nothing of "
            "how often it is right. Hold out more of them."
        )
    if min(audit["n_low"], audit["n_high"]) < FEWEST:
        direction.append(
            f"The direction of the audited component leads from {audit['n_low']} weak to {audit['n_high']} "
            f"strong samples, fewer than {FEWEST} of a kind: there is no verdict on the robust probe."
        )
    return Doubts(test, direction)
