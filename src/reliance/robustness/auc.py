"""Area under the ROC curve and its standard error, exact under ties.

The area is the probability that a random positive sample scores above a random negative one,
ties counted half. Its standard error is that of DeLong, DeLong & Clarke-Pearson (1988): the
spread of how well each single positive and each single negative is placed among the others.
Both metrics of the robustness benchmark (Fig. 5, App. D.2) compare one set of positives, the
images of a class, with several sets of negatives, so the positives are sorted once.
"""

from typing import NamedTuple

import numpy as np


class Auc(NamedTuple):
    """An area under the ROC curve; nan where it is not defined."""

    value: float  # in [0, 1]; nan if either side is empty
    error: float  # DeLong standard error; nan if either side has fewer than two samples


class Placement(NamedTuple):
    """How m positives and n negatives lie among each other; placements of disjoint negatives add up."""

    below: np.ndarray  # [m] float64: number of negatives below each positive, ties half (sorted positives)
    above: np.ndarray  # [n] float64: share of positives above each negative, ties half


def place(positives: np.ndarray, negatives: np.ndarray) -> Placement:
    """Place negatives among positives.

    Parameters
    ----------
    positives : scores [m], SORTED ascending, finite.
    negatives : scores [n] in any order, finite, same dtype.

    Costs O(n log m) and never sorts the negatives. Raises ValueError for scores that are not finite.
    """
    for scores in (positives, negatives):
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite: a score of nan has no rank")
    m = len(positives)
    lower = np.searchsorted(positives, negatives, side="left")  # positives below each negative
    upper = np.searchsorted(positives, negatives, side="right")  # ... below or equal
    # A negative lies strictly below sorted positive i when `upper` <= i, and at most equal when `lower` <= i.
    strictly = np.cumsum(np.bincount(upper, minlength=m + 1)[:m])
    at_most = np.cumsum(np.bincount(lower, minlength=m + 1)[:m])
    below = (strictly + at_most) / 2
    above = 1 - (lower + upper) / (2 * m) if m else np.full(len(negatives), np.nan)
    return Placement(below, above)


def remove(everything: Placement, part: np.ndarray, among: Placement) -> Placement:
    """The placement without some of its negatives.

    Parameters
    ----------
    everything : placement of all n negatives.
    part : bool [n], the negatives to leave out.
    among : placement of just these, among the same positives.
    """
    return Placement(everything.below - among.below, everything.above[~part])


def from_placement(placement: Placement) -> Auc:
    """The area and its standard error."""
    below, above = placement
    m, n = len(below), len(above)
    if m == 0 or n == 0:
        return Auc(np.nan, np.nan)
    value = float(below.mean() / n)
    if m == 1 or n == 1:
        return Auc(value, np.nan)
    variance = np.var(below / n, ddof=1) / m + np.var(above, ddof=1) / n
    return Auc(value, float(np.sqrt(variance)))


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Precision at every positive's score, averaged over positives; nan if either side is empty.

    The score that "Spurious ImageNet" (Neuhaus et al.) is published with. Unlike the area it depends on how
    many positives there are for each negative. Scores [m], SORTED ascending, and [n] in any order; equal
    ones are taken together.
    """
    m, n = len(positives), len(negatives)
    if m == 0 or n == 0:
        return np.nan
    true = m - np.searchsorted(positives, positives, side="left")
    false = n - np.searchsorted(np.sort(negatives), positives, side="left")
    return float((true / (true + false)).mean())


def auc(positives: np.ndarray, negatives: np.ndarray) -> Auc:
    """Area under the ROC curve of scores [m] against scores [n], in any order."""
    return from_placement(place(np.sort(positives), negatives))
