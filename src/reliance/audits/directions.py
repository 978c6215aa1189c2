"""A component's direction among image embeddings, and training data that are blurred along it (App. E).

All act on unit image embeddings z/|z|, what a probe sees before its factor; they are not normalised again.
"""

from typing import NamedTuple

import numpy as np

WEAK, STRONG = 0.1, 0.5  # quantiles


class Thresholds(NamedTuple):
    """Activations below `low` are weak, above `high` strong."""

    low: float
    high: float


class Direction(NamedTuple):
    """From samples in which a component is weak to those in which it is strong."""

    vector: np.ndarray  # u [p] float64; zeros if one of the sets is empty
    n_low: int
    n_high: int


def thresholds(activations: np.ndarray, low: float | None, high: float | None) -> Thresholds:
    """The given thresholds, or for None those of the activations [n] of a class; nan if it never fires.

    low : silent samples are weak, and if they are less than a tenth of all, the weakest up to a tenth.
    high : samples above the median where the component fires are strong.
    """
    firing = activations[activations != 0].astype(np.float64)
    found = Thresholds(np.nan, np.nan)
    if len(firing):
        weakest = max(float(np.quantile(activations.astype(np.float64), WEAK)), float(firing.min()))
        found = Thresholds(weakest, float(np.quantile(firing, STRONG)))
    return Thresholds(found.low if low is None else float(low), found.high if high is None else float(high))


def direction(unit: np.ndarray, activations: np.ndarray, used: Thresholds) -> Direction:
    """Eq. 33: u = mean of the strong - mean of the weak samples.

    unit : [n, p] unit embeddings. activations : [n] of the component, 0 where it is silent.
    """
    weak, strong = activations < used.low, activations > used.high
    n_low, n_high = int(weak.sum()), int(strong.sum())
    vector = np.zeros(unit.shape[1])
    if n_low and n_high:
        vector = unit[strong].mean(axis=0, dtype=np.float64) - unit[weak].mean(axis=0, dtype=np.float64)
    return Direction(vector, n_low, n_high)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two vectors [p]; 0 if one has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def uniform_shares(n: int, seed: int) -> np.ndarray:
    """p ~ U(0, 1) of Eq. 34, one per sample, [n] float64; the same for every strength."""
    return np.random.default_rng(seed).random(n)


def augment(unit: np.ndarray, vector: np.ndarray, alpha: float, p: np.ndarray) -> np.ndarray:
    """Eq. 34: x' = x + alpha (p - 0.5) u. unit [n, p] float32, vector u [p], p [n]; float32 [n, p]."""
    shift = alpha * (p - 0.5)[:, None] * vector
    moved: np.ndarray = (unit + shift).astype(np.float32)
    return moved
