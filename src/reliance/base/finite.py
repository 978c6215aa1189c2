"""Numbers that are none (NaN, infinity) are refused where they come in: later, no comparison finds them.

A z-score of NaN is above no threshold, and the largest of scores with a NaN is the first: both would be
results that look like results.
"""

import os
from collections.abc import Mapping

import numpy as np

from reliance.base.errors import RelianceError, make_again


def finite(
    where: str | os.PathLike[str], name: str, array: np.ndarray, first_row: int = 0, step: str = ""
) -> np.ndarray:
    """The array itself. Raises RelianceError, naming file, array and row, if a value is not finite.

    first_row : what the first row of the array is called. step : what to do; usually to make the file again.
    """
    if array.dtype.kind == "f" and not (good := np.isfinite(array)).all():
        bad = np.argwhere(~good)
        row = f", first in row {first_row + int(bad[0][0])}" if array.ndim else ""
        raise RelianceError(
            where,
            "what is computed with consists of finite numbers",
            found=f"{name}: {len(bad)} of {array.size} values are NaN or infinite{row}",
            allowed="finite values",
            next_step=step
            or f"weights were not finite, or a precision was too small (try embedding.precision: fp32): "
            f"{make_again(where)}",
        )
    return array


def finite_rows(
    kind: str, where: str | os.PathLike[str], name: str, rows: np.ndarray, first_row: int = 0
) -> np.ndarray:
    """Rows of a split as `finite` gives them, if they are of a kind that is computed with."""
    return finite(where, name, rows, first_row) if kind in ("embeddings", "codes") else rows


def all_finite(where: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], step: str = "") -> None:
    """Raise RelianceError, naming the first array in which a value is not finite."""
    for name, array in arrays.items():
        finite(where, name, np.asarray(array), step=step)
