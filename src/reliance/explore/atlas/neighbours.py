"""How units fire on the train split, in one pass, and which are near each other: by direction, by images."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from reliance.units.protocol import Activations

BINS = 16  # of a histogram, from 0 to the largest activation of the unit
NEAR = 8  # units listed as near
SEEN = 200_000  # images from which units are taken to fire together: every n-th of a larger split
_STEP = 1024  # units at a time


class Activity(NamedTuple):
    """Of m units on a split."""

    histogram: np.ndarray  # images per bin of activations above 0, int64 [m, BINS]
    together: sparse.csr_array  # 1 where a unit fires, float32 [images seen, m]


class Near(NamedTuple):
    """The nearest units of every unit, the nearest first; fewer than there are places is -1."""

    unit: np.ndarray  # int64 [n, NEAR]
    value: np.ndarray  # float32 [n, NEAR]


def activity(codes: Activations, largest: np.ndarray, block_rows: int) -> Activity:
    """Histograms of all images, and which units fire on every n-th; `largest` activation [m] of each unit."""
    every = -(-codes.rows // SEEN)
    counts = np.zeros(codes.m * BINS, np.int64)
    step = BINS / np.maximum(largest, 1e-12)
    rows, columns = [], []
    for start, stop in codes.blocks(block_rows):
        image, unit, value = codes.entries(start, stop)
        place = np.minimum((value.astype(np.float64) * step[unit]).astype(np.int64), BINS - 1)
        positive = value > 0
        counts += np.bincount((unit * BINS + place)[positive], minlength=len(counts))
        seen = positive & (image % every == 0)
        rows.append((image[seen] // every).astype(np.int32))
        columns.append(unit[seen].astype(np.int32))
    row, column = np.concatenate(rows), np.concatenate(columns)
    shape = (-(-codes.rows // every), codes.m)
    fires = sparse.csr_array((np.ones(len(row), np.float32), (row, column)), shape=shape)
    return Activity(counts.reshape(codes.m, BINS), fires)


def by_direction(directions: np.ndarray, units: np.ndarray) -> Near:
    """The other units with the largest cosine of their directions [m, d], for and among `units` [n]."""
    vectors = directions[units].astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    parts = []
    for start in range(0, len(units), _STEP):
        cosines = vectors[start : start + _STEP] @ vectors.T
        here = np.arange(len(cosines))
        cosines[here, start + here] = -np.inf
        parts.append(_largest(cosines, units))
    return _joined(parts)


def by_images(fires: sparse.csr_array, units: np.ndarray) -> Near:
    """The other units that fire on the same images: those with the largest n_ij / sqrt(n_i n_j).

    fires [images, m] is 1 where a unit fires; for and among `units` [n]. Without a common image none is near.
    """
    own = fires[:, units].tocsc()
    counts = np.maximum(np.asarray(own.sum(0)).ravel(), 1)
    across = own.tocsr()
    parts = []
    for start in range(0, len(units), _STEP):
        both = (own[:, start : start + _STEP].T.tocsr() @ across).toarray()
        both /= np.sqrt(counts[start : start + len(both), None] * counts[None, :])
        here = np.arange(len(both))
        both[here, start + here] = 0
        both[both <= 0] = -np.inf
        parts.append(_largest(both.astype(np.float32), units))
    return _joined(parts)


def _largest(values: np.ndarray, units: np.ndarray) -> Near:
    count = min(NEAR, values.shape[1])
    chosen = np.argpartition(-values, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(values, chosen, 1)
    order = np.lexsort((chosen, -found), axis=1)
    chosen, found = (np.take_along_axis(a, order, 1) for a in (chosen, found))
    return Near(np.where(np.isfinite(found), units[chosen], -1), found)


def _joined(parts: list[Near]) -> Near:
    if not parts:
        return Near(np.zeros((0, NEAR), np.int64), np.zeros((0, NEAR), np.float32))
    return Near(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
