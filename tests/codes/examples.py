"""Codes written directly, with many ties and gaps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reliance.base.rows import Layout, PartWriter, part_range, write_manifest
from reliance.codes.store import Codes, open_codes


def random_codes(n: int, m: int, k: int, seed: int = 0, levels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Values float16 [n, k] from few levels, indices [n, k]; some rows are not full, some are empty."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, m + 1)
    indices = np.stack([rng.choice(m, k, replace=False, p=popularity / popularity.sum()) for _ in range(n)])
    values = -np.sort(-rng.integers(0, levels + 1, (n, k)) / 4, axis=1).astype(np.float16)
    values[::11] = 0
    return values, np.where(values == 0, 0, indices)


def write_codes(
    folder: Path,
    values: np.ndarray,
    indices: np.ndarray,
    m: int,
    parts: int = 3,
    excluded: Sequence[int] = (),
    **inputs: str,
) -> Path:
    """The path of the manifest of these codes; `excluded` are rows of unreadable images."""
    arrays = {"values": values, "indices": indices.astype(np.uint16)}
    layouts = {name: Layout(a.shape[1:], a.dtype.str) for name, a in arrays.items()}
    paths = []
    for i in range(parts):
        rows = part_range(len(values), parts, i)
        paths.append(folder / f"part-{i}-of-{parts}.zarr")
        named = {"sae": "s" * 64, "embeddings": "e" * 64, "index": "i" * 64, **inputs}
        writer = PartWriter(paths[-1], "codes", rows, layouts, {"m": m}, named, chunk_rows=len(values))
        bad = [(row, "unreadable image") for row in excluded if rows.start <= row < rows.stop]
        writer.append({name: a[rows.start : rows.stop] for name, a in arrays.items()}, bad)
        writer.finish()
    write_manifest(folder / "manifest.json", paths, "codes")
    return folder / "manifest.json"


def as_dense(values: np.ndarray, indices: np.ndarray, m: int) -> np.ndarray:
    """Activations of every image and component, float64 [n, m]."""
    dense = np.zeros((len(values), m))
    for row, (found, where) in enumerate(zip(values, indices, strict=True)):
        for value, j in zip(found, where, strict=True):
            if value != 0:
                dense[row, j] = value
    return dense


def opened(folder: Path, n: int = 90, m: int = 25, k: int = 4, seed: int = 0) -> tuple[Codes, np.ndarray]:
    """(codes, the same dense)."""
    values, indices = random_codes(n, m, k, seed)
    return open_codes(write_codes(folder, values, indices, m)), as_dense(values, indices, m)
