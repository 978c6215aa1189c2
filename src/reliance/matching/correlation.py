"""Correlations of sparse activations, block by block: m x m numbers are never held.

    r_ij = (mean a_i b_j - mean a_i mean b_j) / (s_i s_j)      over all images, inactive ones count as 0

a_i and b_j are units of two dictionaries. Only images on which both fire add to mean a_i b_j: those of some
units with all others are one sparse product. A unit that never fires correlates with nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

_BLOCK = 512  # units at a time


class Activity(NamedTuple):
    """Activations of m units on n images."""

    values: csr_array  # float32 [n, m]
    mean: np.ndarray  # float64 [m]
    spread: np.ndarray  # s, float64 [m]; 0: always the same


class Pairs(NamedTuple):
    """What is kept of all pairs of units of two dictionaries."""

    shortlist: np.ndarray  # int64 [m, s] of the first: units of the second, the most correlated first
    correlations: np.ndarray  # float32 [m, s]
    back: np.ndarray  # int64 [m'] of the second: the most correlated unit of the first
    back_correlations: np.ndarray  # float32 [m']


def activity(values: csr_array) -> Activity:
    """Means and spreads of sparse activations [n, m]."""
    n = max(values.shape[0], 1)
    wide = values.astype(np.float64)
    mean = np.asarray(wide.sum(axis=0)).ravel() / n
    squares = np.asarray(wide.multiply(wide).sum(axis=0)).ravel() / n
    return Activity(values, mean, np.sqrt(np.maximum(squares - mean**2, 0)))


def blocks(first: Activity, second: Activity, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, correlations float32 [block, m']) of `size` units of the first with all of the second."""
    n = max(first.values.shape[0], 1)
    by_unit = first.values.T.tocsr()
    across = _inverse(second.spread)
    for start in range(0, by_unit.shape[0], size):
        rows = slice(start, start + size)
        found = (by_unit[rows] @ second.values).toarray()
        found /= n
        found -= np.outer(first.mean[rows], second.mean).astype(np.float32)
        found *= _inverse(first.spread)[rows, None].astype(np.float32)
        found *= across.astype(np.float32)
        yield start, found


def strongest_pairs(first: Activity, second: Activity, count: int, size: int = _BLOCK) -> Pairs:
    """The `count` most correlated partners of each unit of the first, and the best one of the second's."""
    m, other = len(first.mean), len(second.mean)
    count = min(count, other)
    shortlist, kept = np.zeros((m, count), np.int64), np.zeros((m, count), np.float32)
    back, best = np.full(other, -1, np.int64), np.zeros(other, np.float32)
    for start, r in blocks(first, second, size):
        rows = slice(start, start + len(r))
        chosen = np.argpartition(-r, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(r, chosen, axis=1)
        order = np.lexsort((chosen, -values), axis=1)
        shortlist[rows] = np.take_along_axis(chosen, order, axis=1)
        kept[rows] = np.take_along_axis(values, order, axis=1)
        top = r.argmax(axis=0)
        highest = r[top, np.arange(other)]
        better = highest > best
        back[better], best[better] = top[better] + start, highest[better]
    return Pairs(shortlist, kept, back, best)


def nearest_rows(first: np.ndarray, second: np.ndarray, size: int = _BLOCK) -> tuple[np.ndarray, ...]:
    """(nearest row of the second, cosine) of every row of the first, and the same the other way round.

    Unit rows float32 [m, d] and [m', d].
    """
    nearest, cosine = np.zeros(len(first), np.int64), np.zeros(len(first), np.float32)
    back, best = np.zeros(len(second), np.int64), np.full(len(second), -np.inf, np.float32)
    for start in range(0, len(first), size):
        found = first[start : start + size] @ second.T
        rows = slice(start, start + len(found))
        nearest[rows] = found.argmax(axis=1)
        cosine[rows] = found[np.arange(len(found)), nearest[rows]]
        top = found.argmax(axis=0)
        highest = found[top, np.arange(len(second))]
        better = highest > best
        back[better], best[better] = top[better] + start, highest[better]
    return nearest, cosine, back, best


def _inverse(spread: np.ndarray) -> np.ndarray:
    """1 / s, and 0 where s is 0."""
    found: np.ndarray = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return found
