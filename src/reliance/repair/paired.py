"""What a change does to areas under the ROC curve and to accuracies, paired over the same images.

The area is the share of pairs of a positive and a negative in which the positive scores higher, ties half.
Its difference before and after a change has DeLong's standard error of the differences of how every single
positive, and every single negative, is placed among the others (as `robustness.auc`, for correlated curves).
"""

from typing import NamedTuple

import numpy as np

Z = 1.96  # standard errors of a 95 % interval


class Change(NamedTuple):
    """A number before and after, and the standard error of the difference; nan where it is not defined."""

    before: float
    after: float
    error: float

    @property
    def gain(self) -> float:
        """after - before."""
        return self.after - self.before

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the gain."""
        return self.gain - Z * self.error, self.gain + Z * self.error


def placed(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(share of negatives below each positive [m], share of positives above each negative [n]), ties half."""
    down, up = np.sort(negatives), np.sort(positives)
    below = np.searchsorted(down, positives, "left") + np.searchsorted(down, positives, "right")
    under = np.searchsorted(up, negatives, "left") + np.searchsorted(up, negatives, "right")
    return below / (2 * max(len(down), 1)), 1 - under / (2 * max(len(up), 1))


def auc_change(before: np.ndarray, after: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Change:
    """The area of images at places `positives` against those at `negatives`, scores [n] before and after."""
    if not len(positives) or not len(negatives):
        return Change(np.nan, np.nan, np.nan)
    one, two = (placed(scores[positives], scores[negatives]) for scores in (before, after))
    areas = float(one[0].mean()), float(two[0].mean())
    if min(len(positives), len(negatives)) < 2:
        return Change(*areas, np.nan)
    variance = sum(np.var(b - a, ddof=1) / len(a) for a, b in zip(one, two, strict=True))
    return Change(*areas, float(np.sqrt(variance)))


def mean_change(before: np.ndarray, after: np.ndarray) -> Change:
    """Means of numbers of the same images [n]."""
    if not len(before):
        return Change(np.nan, np.nan, np.nan)
    difference = after.astype(np.float64) - before
    error = float(difference.std(ddof=1) / np.sqrt(len(before))) if len(before) > 1 else np.nan
    return Change(float(before.mean()), float(after.mean()), error)
