"""How often and how strongly every component fires on a split (the axes of Figs. 4 and 9)."""

from typing import NamedTuple

import numpy as np

from reliance.codes.top_samples import Top
from reliance.units.protocol import Activations


class Statistics(NamedTuple):
    """One value per component; readable images on which it is silent count as activation 0."""

    n_active: np.ndarray  # images with a non-zero activation, int64 [m]
    firing_rate: np.ndarray  # n_active / readable images, float64 [m]
    mean: np.ndarray  # over all readable images, float64 [m]
    max: np.ndarray  # float64 [m]
    top5_mean: np.ndarray  # over the 5 images where it is strongest, float64 [m]
    top20_mean: np.ndarray  # over 20, float64 [m]


def component_statistics(activations: Activations, top: Top, block_rows: int) -> Statistics:
    """Statistics of a split, read in blocks of rows. `top` holds at least 20 images per component."""
    m, readable = activations.m, max(activations.readable, 1)
    n_active, total = np.zeros(m, np.int64), np.zeros(m)
    for start, stop in activations.blocks(block_rows):
        entries = activations.entries(start, stop)
        n_active += np.bincount(entries.component, minlength=m)
        total += np.bincount(entries.component, entries.value, minlength=m)
    return Statistics(
        n_active,
        n_active / readable,
        total / readable,
        top_mean(top, m, 1),
        top_mean(top, m, min(5, readable)),
        top_mean(top, m, min(20, readable)),
    )


def top_mean(top: Top, m: int, count: int) -> np.ndarray:
    """Mean activation of every component on the `count` images where it is strongest, float64 [m]."""
    chosen = top.rank < count
    return np.bincount(top.component[chosen], top.activation[chosen], minlength=m) / count
