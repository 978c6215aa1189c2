"""Small artifacts of the rooms before and of this one."""

from pathlib import Path

import numpy as np

from reliance.base.rows import Layout, PartWriter, part_range, write_manifest
from reliance.units.sae.files import Sae, save_sae

WEIGHTS, INDEX = "w" * 64, "i" * 64


def write_split(
    folder: Path,
    arrays: dict[str, np.ndarray],
    weights: str = WEIGHTS,
    index: str = INDEX,
    parts: int = 2,
    **params: str,
) -> Path:
    """Embeddings in parts; the path of their manifest. `valid` is all true unless given."""
    rows = len(next(iter(arrays.values())))
    arrays = {"valid": np.ones(rows, bool), **arrays}
    folders = []
    for i in range(parts):
        part = part_range(rows, parts, i)
        layouts = {name: Layout(a.shape[1:], a.dtype.str) for name, a in arrays.items()}
        inputs = {"index": index, "weights": weights}
        path = folder / f"part-{i}-of-{parts}.zarr"
        writer = PartWriter(path, "embeddings", part, layouts, params, inputs, chunk_rows=rows)
        if part.start < part.stop:
            writer.append({name: a[part.start : part.stop] for name, a in arrays.items()})
        writer.finish()
        folders.append(path)
    write_manifest(folder / "manifest.json", folders, "embeddings")
    return folder / "manifest.json"


def random_sae(m: int, d: int, k: int, seed: int = 0, activation: str = "topk") -> Sae:
    rng = np.random.default_rng(seed)
    decoder = rng.standard_normal((m, d), dtype=np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    encoder = decoder + 0.1 * rng.standard_normal((m, d), dtype=np.float32)
    encoder_bias = 0.1 * rng.standard_normal(m, dtype=np.float32)
    return Sae(encoder, encoder_bias, decoder, rng.standard_normal(d, dtype=np.float32), k, activation)


def write_sae(path: Path, sae: Sae, weights: str = WEIGHTS) -> str:
    """Write an SAE; its id."""
    return save_sae(path, sae, {}, {"encoder": weights}).id


def sparse_data(n: int, d: int, factors: int, active: int, seed: int = 0) -> np.ndarray:
    """Rows that are a mean plus a few of some unit directions, float32 [n, d]."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((factors, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = rng.permuted(np.tile(np.arange(factors), (n, 1)), axis=1)[:, :active]
    strength = rng.uniform(1, 3, (n, active, 1))
    x = 2 * rng.standard_normal(d) + (directions[chosen] * strength).sum(1)
    return (x + 0.01 * rng.standard_normal((n, d))).astype(np.float32)
