"""Which units are near each other: by their directions, and by the images on which they fire.

For all units at once the same as `explore.unit` says of one.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from reliance.codes.store import Codes, codes_at

NEAR = 8  # units listed as near
_STEP = 512  # units at a time


class Near(NamedTuple):
    """The nearest units of every unit, the nearest first; where there are fewer than places, -1."""

    unit: np.ndarray  # int64 [n, NEAR or fewer]
    value: np.ndarray  # float32 [n, NEAR or fewer]


def by_direction(directions: np.ndarray, units: np.ndarray) -> Near:
    """The other units with the largest cosine of their directions [m, d], for and among `units` [n]."""
    vectors = directions[units].astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    parts = []
    for start in range(0, len(units), _STEP):
        cosines = vectors[start : start + _STEP] @ vectors.T
        _leave_out_itself(cosines, start)
        parts.append(_largest(cosines, cosines, units))
    return _joined(parts)


def by_images(top: pd.DataFrame, codes: Codes, usual: np.ndarray, units: np.ndarray) -> Near:
    """The other units that fire on a unit's strongest images more often than usual, by the share of these.

    top : TOP_SAMPLES of `codes`. usual [m] : share of all images on which each fires. For and among
    `units` [n]; ordered by how far the share is above the usual one. Once is not often.
    """
    place = np.full(codes.m, -1)
    place[units] = np.arange(len(units))
    top = top[place[top["component"]] >= 0]
    images, column = np.unique(top["image_id"].to_numpy(), return_inverse=True)
    values, indices = codes_at(codes, images)
    active = (values > 0) & (place[indices] >= 0)
    shape = (len(images), len(units))
    where = np.nonzero(active)[0], place[indices[active]]
    fires = sparse.csr_array((np.ones(len(where[0]), np.float32), where), shape=shape)
    where = place[top["component"]], column
    chosen = sparse.csr_array((np.ones(len(column), np.float32), where), shape=shape[::-1])
    count = np.maximum(chosen.sum(1), 1)
    parts = []
    for start in range(0, len(units), _STEP):
        both = (chosen[start : start + _STEP] @ fires).toarray().astype(np.float64)
        share = both / count[start : start + len(both), None]
        above = np.where(both > 1, share - usual[units], -np.inf)
        _leave_out_itself(above, start)
        parts.append(_largest(above, share, units))
    return _joined(parts)


def _leave_out_itself(values: np.ndarray, start: int) -> None:
    here = np.arange(len(values))
    values[here, start + here] = -np.inf


def _largest(values: np.ndarray, told: np.ndarray, units: np.ndarray) -> Near:
    """The units with the largest values, by value, then by what is told of them, then by number."""
    count = min(NEAR, values.shape[1])
    chosen = np.argpartition(-values, count - 1, axis=1)[:, :count]
    found, kept = (np.take_along_axis(a, chosen, 1) for a in (values, told))
    order = np.lexsort((units[chosen], -kept, -found), axis=1)
    chosen, found, kept = (np.take_along_axis(a, order, 1) for a in (chosen, found, kept))
    return Near(np.where(np.isfinite(found), units[chosen], -1), kept.astype(np.float32))


def _joined(parts: list[Near]) -> Near:
    if not parts:
        return Near(np.zeros((0, NEAR), np.int64), np.zeros((0, NEAR), np.float32))
    return Near(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
