"""The reference a relevance is compared with: expected mean, and a spread that is never zero.

Most components are silent on most classes, and a component that fires on one image in a hundred has
a tiny standard deviation, so that the z of Eq. 8 would exceed any threshold at the first activation.
The variance is therefore shrunk toward what is usual in the class: with s2_j the variance (ddof=1)
of component j over the n images of the class,

    sigma_j^2 = (10 s0^2 + (n - 1) s2_j) / (n + 9),

where s0^2 is the median of s2 over the components that fire on at least 5 % of the class; a class
without such a component takes the median of the other classes' s0^2.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

PRIOR_WEIGHT = 10  # images that s0^2 counts for
COMMON = 0.05  # share of a class on which a component fires to enter s0^2


class Reference(NamedTuple):
    """Expected relevance of every class and component; unusable classes have sigma nan."""

    n: np.ndarray  # images of the class, int64 [C]
    y_mean: np.ndarray  # float64 [C], nan where n is 0
    y_std: np.ndarray  # float64 [C], nan where n is below 2
    n_active: np.ndarray  # images of the class on which it fires, int32 [C, m]
    mean: np.ndarray  # [C, m]
    sigma: np.ndarray  # [C, m]
    usable: np.ndarray  # whether a class can be mined, bool [C]


def reference(frame: pd.DataFrame, class_ids: np.ndarray, components: int, dtype: str) -> Reference:
    """Dense reference from an expectations table, for classes `class_ids` [C] (ascending).

    Classes with fewer than two images, or with no s0^2 above zero of their own or from other
    classes, are not usable.
    """
    row = np.searchsorted(class_ids, frame["class_id"])
    component = frame["component"].to_numpy()
    whole, pair = component < 0, component >= 0
    shape = len(class_ids), components
    n = _scatter(shape[:1], row[whole], frame["n"].to_numpy()[whole], 0, "int64")
    y_mean = _scatter(shape[:1], row[whole], frame["y_mean"].to_numpy()[whole], np.nan, "float64")
    y_std = _scatter(shape[:1], row[whole], frame["y_std"].to_numpy()[whole], np.nan, "float64")
    place = row[pair], component[pair]
    n_active = _scatter(shape, place, frame["n_active"].to_numpy()[pair], 0, "int32")
    mean = _scatter(shape, place, frame["mean"].to_numpy()[pair], 0, dtype)
    variance = frame["std"].to_numpy()[pair] ** 2
    typical = typical_variance(row[pair], n_active[place] / n[row[pair]], variance, len(class_ids))
    usable = (n >= 2) & np.isfinite(typical)
    prior = np.where(usable, PRIOR_WEIGHT * typical, np.nan)
    sigma = np.broadcast_to(np.sqrt(prior / (n + PRIOR_WEIGHT - 1))[:, None], shape).astype(dtype)
    count = n[row[pair]]
    shrunk = (prior[row[pair]] + (count - 1) * variance) / (count + PRIOR_WEIGHT - 1)
    sigma[place] = np.sqrt(shrunk)
    return Reference(n, y_mean, y_std, n_active, mean, sigma, usable)


def typical_variance(row: np.ndarray, rate: np.ndarray, variance: np.ndarray, classes: int) -> np.ndarray:
    """s0^2 of every class [C], nan if there is none at all.

    One entry per (class, component that fires on it): class `row`, share of the class on which it
    fires `rate`, `variance` over the class.
    """
    common = (rate >= COMMON) & np.isfinite(variance)
    medians = pd.Series(variance[common]).groupby(row[common]).median()
    medians = medians[medians > 0]
    own = medians.reindex(np.arange(classes)).to_numpy()
    fallback = np.nan if medians.empty else float(medians.median())
    return np.where(np.isfinite(own), own, fallback)


def _scatter(shape: tuple[int, ...], place: Any, values: np.ndarray, fill: float, dtype: str) -> np.ndarray:
    table = np.full(shape, fill, dtype)
    table[place] = values
    return table
