"""What some SAEs do to x before they encode it: y = (x - mu) / s, one mu and one s per image.

    mu = mean x  (layer norm)  or 0                  s = |x - mu| / sqrt(d - ddof) + eps

Such an SAE reconstructs y as aV + b, so x as  sum_j (s a_j) v_j + (s b + mu). Codes hold s a_j: what latent j
adds to x, so that to leave it out is to take s a_j v_j from x, as with any other SAE. Only what is there
without any latent, s b + mu, differs from image to image; where one vector is asked for, it is that of the
mean s and mu of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_FLOOR = 1e-12  # of s, so that a vector that is all the same has activations instead of none at all


class InputNorm(NamedTuple):
    """How x is normalised."""

    centre: bool  # whether mu is the mean of x
    ddof: int
    eps: float
    mean_scale: float = 1.0  # of s over the data
    mean_shift: float = 0.0  # of mu over the data

    @classmethod
    def of(cls, array: np.ndarray) -> InputNorm:
        """What `array` has written."""
        centre, ddof, eps, scale, shift = map(float, array)
        return cls(bool(centre), int(ddof), eps, scale, shift)

    @property
    def array(self) -> np.ndarray:
        """The five numbers, float64 [5], as they are stored."""
        return np.array(self, np.float64)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(s, mu) of x [n, d], each [n, 1]."""
        mu = x.mean(1, keepdim=True) if self.centre else x.new_zeros(len(x), 1)
        width = max(x.shape[1] - self.ddof, 1)
        return ((x - mu).norm(dim=1, keepdim=True) / width**0.5 + self.eps).clamp(min=_FLOOR), mu

    def offset(self, bias: np.ndarray) -> np.ndarray:
        """s b + mu for the mean s and mu, float32 [d]."""
        found: np.ndarray = (self.mean_scale * bias + self.mean_shift).astype(np.float32)
        return found


LAYER_NORM = InputNorm(centre=True, ddof=1, eps=1e-5)  # torch's std: unbiased
CONSTANT_NORM = InputNorm(centre=False, ddof=0, eps=0.0)  # |y| = sqrt(d)
