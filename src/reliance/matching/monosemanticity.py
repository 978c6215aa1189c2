"""How alike the images are on which a unit fires (Pach et al. 2025), in linear time.

    MS_j = sum over pairs i != h of a_i a_h cos(z_i, z_h)  /  sum over pairs of a_i a_h
         = (|sum_i a_i u_i|^2 - sum_i a_i^2) / ((sum_i a_i)^2 - sum_i a_i^2)        u_i = z_i / |z_i|

over all images, with activations a of unit j and embeddings z of another model. No pair is ever formed.
"""

import numpy as np
from scipy.sparse import csr_array

_TINY = 1e-12


def monosemanticity(values: csr_array, z: np.ndarray) -> np.ndarray:
    """MS float64 [m] of activations [n, m] and embeddings [n, p]; nan of units of fewer than 2 images."""
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), _TINY)
    wide = values.astype(np.float64)
    together = np.square(wide.T @ unit.astype(np.float64)).sum(axis=1)
    squares = np.asarray(wide.multiply(wide).sum(axis=0)).ravel()
    total = np.asarray(wide.sum(axis=0)).ravel()
    several = np.asarray((wide != 0).sum(axis=0)).ravel() >= 2
    found = np.full(values.shape[1], np.nan)
    pairs = np.square(total) - squares
    found[several] = (together - squares)[several] / pairs[several]
    return found
