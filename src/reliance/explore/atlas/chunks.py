"""Data for a page that is opened from the disk: scripts, because a page may not read files beside it.

A chunk is one call, `take("units/3", [...])`, in ASCII: text of others arrives as JSON strings, nothing else.
Numbers are whole multiples of a unit (`scaled`), which takes fewer bytes and loses nothing that is shown.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SIZES = {"units": 16, "classes": 32, "cases": 16, "images": 64}  # records per chunk


def write_chunk(folder: Path, name: str, data: object) -> None:
    """Write plain JSON data as `<name>.js`. Raises ValueError for a number that is not finite."""
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    path.write_text(f"take({json.dumps(name)},{text})\n", encoding="ascii")


def write_chunks(folder: Path, kind: str, records: Sequence[Any]) -> None:
    """Write records of a kind as `<kind>/0.js` and so on: record i is in chunk i // SIZES[kind]."""
    size = SIZES[kind]
    for start in range(0, len(records), size):
        write_chunk(folder, f"{kind}/{start // size}", records[start : start + size])


def scaled(values: Iterable[float] | np.ndarray, per_unit: float) -> list[int | None]:
    """Values times `per_unit` as whole numbers; None for what is not finite."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), np.float64)
    finite = np.isfinite(array)
    whole = np.rint(np.where(finite, array, 0) * per_unit).astype(np.int64).tolist()
    return [n if ok else None for n, ok in zip(whole, finite.tolist(), strict=True)]


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a table as named tuples."""
    return iter(frame.itertuples())


def number(value: float, digits: int = 4) -> float | None:
    """One value with so many significant digits; None for what is not finite."""
    return float(f"{float(value):.{digits}g}") if np.isfinite(value) else None
