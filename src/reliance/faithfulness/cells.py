"""Curves by cell: the images of one class in one subset, the rows of the faithfulness table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Cells(NamedTuple):
    """Numbers, means and standard deviations of the curves of c cells."""

    cell: np.ndarray  # class * subsets + subset, int64 [c], ascending
    n: np.ndarray  # images, int64 [c]
    mean: np.ndarray  # float64 [c, S + 1]
    std: np.ndarray  # ddof=1, nan for one image, float64 [c, S + 1]


def by_cell(y: np.ndarray, cell: np.ndarray) -> Cells:
    """Gather curves y [n, S + 1] of images in cells int64 [n]."""
    cells, place, n = np.unique(cell, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    first = np.cumsum(n) - n
    mean = np.add.reduceat(y[order], first) / n[:, None]
    squares = np.add.reduceat(np.square(y - mean[place])[order], first)
    std = np.sqrt(squares / np.where(n > 1, n - 1, np.nan)[:, None])
    return Cells(cells, n, mean, std)


def table(
    found: Mapping[Any, Sequence[Cells]],
    columns: Sequence[str],
    class_ids: np.ndarray,
    subsets: int,
) -> pd.DataFrame:
    """The rows of FAITHFULNESS.

    Parameters
    ----------
    found : the cells of each curve, in parts; its key is a tuple with the values of `columns`.
    class_ids : id of each class, int64 [C].
    """
    frames = []
    for key, parts in found.items():
        cell, n, mean, std = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        steps = mean.shape[1]
        rows: dict[str, Any] = {
            **dict(zip(columns, key, strict=True)),
            "step": np.tile(np.arange(steps), len(cell)),
            "class_id": np.repeat(class_ids[cell // subsets], steps),
            "subset": np.repeat(cell % subsets, steps),
            "n": np.repeat(n, steps),
            "y": mean.ravel(),
            "y_std": std.ravel(),
        }
        frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)
