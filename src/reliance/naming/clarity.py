"""Clarity of a component: how alike its top images are (SemanticLens, Dreyer et al. 2025)."""

import numpy as np


def clarity(mean_unit: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Mean pairwise cosine of n embeddings from the mean of their unit vectors.

        sum over pairs i != j of cos(e_i, e_j) / (n (n - 1)) = (|mean_unit|^2 - 1/n) n / (n - 1)

    mean_unit [c, p], n int [c]. Returns [c] between -1/(n-1) and 1; nan where n < 2.
    """
    squared = np.einsum("cp,cp->c", mean_unit, mean_unit)
    count = np.where(n < 2, np.nan, n)
    result: np.ndarray = (squared - 1 / count) * count / (count - 1)
    return result
