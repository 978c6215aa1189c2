"""The rest of a model up to outputs that are linear in z itself, not in z/|z|: classifiers of raw embeddings.

With the notation of `tails.relevance`, z = u / s with u = (g * c(x)) W + s b, and for a weight w [p]

    f   = w.z = (u.w) / s
    act x grad:     R_j = a_j (B_j.w) / s - a_j (s_j / s^2) (u.w - s b.w),     s_j = v_j.c(x) / (d s)
    leave-one-out:  R_j = (u.w - s b.w) (1/s - 1/s') + a_j (B_j.w) / s',       s' = s at x - a_j v_j

The length |z| plays no part, and of the LayerNorm only s. Without LayerNorm s stays 1 and both are a_j B_j.w.
"""

import numpy as np
import torch

from reliance.encoders.head import Head
from reliance.tails.protocol import ABLATION
from reliance.tails.relevance import Array, image_terms, latent_tables


class LinearTail:
    """The head of an encoder with units of directions [m, d] and weights [q, p] of any length."""

    def __init__(
        self,
        head: Head,
        directions: Array,
        weight: Array,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.tables = latent_tables(directions, head, device, dtype)
        self.weight = torch.as_tensor(weight).to(self.tables.lens)
        self.along = self.weight @ self.tables.lens.T  # B_j . w [q, m]
        self.bias = self.weight @ self.tables.bias  # b . w [q]

    def relevance(self, x: Array, values: Array, indices: Array, form: str) -> np.ndarray:
        """R float64 [q, n, k] of the active units of n images; 0 where values are 0.

        x [n, d], values [n, k] (0 is inactive), indices int64 [n, k]; `form` is act_x_grad or ablation.
        """
        tables, terms = self.tables, image_terms(self.tables, x, values, indices)
        a, j, s = terms.values, terms.indices, terms.scale[:, None]
        centred = (terms.unit * terms.length[:, None]) @ self.weight.T - terms.scale[:, None] * self.bias
        moved = a * self.along[:, j]  # a_j B_j.w [q, n, k]
        d = tables.weight.shape[0]
        if form == ABLATION:
            squares = (a * a * tables.spread[j] - 2 * a * terms.shift) / d
            least = 4 * torch.finfo(a.dtype).eps - 1  # a vector without spread has no direction left
            after = (s.square() + squares.clamp(min=least * s.square())).sqrt()
            found = centred.T[:, :, None] * (1 / s - 1 / after) + moved / after
        else:
            growth = a * terms.shift / (d * s**3)
            found = moved / s - centred.T[:, :, None] * growth
        found = torch.where(a != 0, found, torch.zeros_like(found))
        result: np.ndarray = found.cpu().numpy().astype(np.float64)
        return result
