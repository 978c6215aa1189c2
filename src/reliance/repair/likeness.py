"""How alike units are: decoder direction, firing together, and what the labeller sees in their images.

    likeness = (labeller + max(direction, firing)) / 2

direction is the cosine of two decoder rows, firing the correlation of two activations over images, labeller
the cosine of the mean embeddings of their strongest images after the mean over units is taken away. Units of
a split concept share what is seen in their images; those that fire together or point the same way do as
well. A unit without strongest images is judged by the other two alone. Only pairs on some unit's shortlist
are kept: m x m numbers are never held.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

_BLOCK = 512  # units at a time


class Seen(NamedTuple):
    """What m units are compared by."""

    directions: np.ndarray  # float32 [m, d]
    activations: csr_array  # float32 [n, m]
    embeddings: np.ndarray  # labeller, mean over the strongest images, float32 [m, p]; zeros: none


def likeness(seen: Seen, shortlist: int, block: int = _BLOCK) -> csr_array:
    """Likenesses of pairs that are among the `shortlist` most alike of one of the two, symmetric [m, m].

    Pairs of likeness 0 or less, and units that never fire, are left out.
    """
    m = len(seen.directions)
    parts = [_strongest(rows, found, shortlist) for rows, found in _blocks(seen, block)]
    row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    one = coo_array((value, (row, column)), shape=(m, m)).tocsr()
    both: csr_array = one.maximum(one.T).tocsr()
    return both


def _strongest(rows: np.ndarray, found: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    count = min(count, found.shape[1])
    chosen = np.argpartition(-found, count - 1, axis=1)[:, :count]
    value = np.take_along_axis(found, chosen, axis=1)
    keep = value > 0
    return np.repeat(rows, keep.sum(1)), chosen[keep], value[keep]


def _blocks(seen: Seen, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(units [b], likeness to all units float32 [b, m], itself and silent units at 0)."""
    m, n = len(seen.directions), max(seen.activations.shape[0], 1)
    direction, embedded = _unit(seen.directions), _centred(seen.embeddings)
    by_unit = seen.activations.T.tocsr()
    mean = np.asarray(seen.activations.mean(axis=0), np.float64).ravel()
    squares = np.asarray(seen.activations.multiply(seen.activations).mean(axis=0), np.float64).ravel()
    spread = np.sqrt(np.maximum(squares - mean**2, 0))
    scale = np.divide(1, spread, out=np.zeros(m), where=spread > 0).astype(np.float32)
    named, fires = _has(seen.embeddings), spread > 0
    for start in range(0, m, size):
        rows = np.arange(start, min(start + size, m))
        together = (by_unit[rows] @ seen.activations).toarray() / np.float32(n)
        together -= np.outer(mean[rows], mean).astype(np.float32)
        together *= scale[rows, None] * scale
        beside = np.maximum(together, direction[rows] @ direction.T)
        found = np.where(
            named[rows, None] & named, (embedded[rows] @ embedded.T + beside) / 2, beside
        ).astype(np.float32)
        found[:, ~fires] = 0
        found[~fires[rows]] = 0
        found[np.arange(len(rows)), rows] = 0
        yield rows, found


def _unit(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return found


def _centred(embeddings: np.ndarray) -> np.ndarray:
    """Unit rows after the mean over units that have one is taken away; others stay zero."""
    unit = _unit(embeddings)
    has = _has(embeddings)
    if has.any():
        unit = np.where(has[:, None], unit - unit[has].mean(axis=0), 0).astype(np.float32)
    return _unit(unit)


def _has(embeddings: np.ndarray) -> np.ndarray:
    """Which rows are not zero, bool [m]."""
    found: np.ndarray = np.abs(embeddings).sum(axis=1) > 0
    return found
