"""Small tables and embeddings for this room."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.artifacts import write_table
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.encoders.text import TEXT
from reliance.images.tables import INDEX
from reliance.naming.table import COMPONENTS

LABELLER = "l" * 64


def components(labels: Sequence[str], **columns: Any) -> pd.DataFrame:
    """The columns of COMPONENTS; everything that is not given is the same for all components."""
    m = len(labels)
    filled = {name: 1.0 for name, kind in COMPONENTS.columns if "float" in kind}
    frame = pd.DataFrame({"component": np.arange(m), "n_active": 30, **filled}, index=range(m))
    return frame.assign(label=np.array(labels, dtype=object), runner_up="", **columns)


def write_embeddings(folder: Path, split: str, index: str, weights: str = LABELLER, **arrays: Any) -> Path:
    """One part of embeddings and its manifest; `valid` is all true unless given."""
    rows = len(next(iter(arrays.values())))
    arrays = {"valid": np.ones(rows, bool), **arrays}
    layouts = {name: Layout(a.shape[1:], a.dtype.str) for name, a in arrays.items()}
    span, inputs = PartRange(0, rows), {"index": index, "weights": weights}
    part = folder / "part-0-of-1.zarr"
    writer = PartWriter(part, "embeddings", span, layouts, {"split": split}, inputs, chunk_rows=rows)
    writer.append(arrays)
    writer.finish()
    write_manifest(folder / "manifest.json", [part], "embeddings")
    return folder / "manifest.json"


def write_index(path: Path, **splits: Sequence[int]) -> str:
    """An index of splits with the class of every image; its id."""
    frames = [
        pd.DataFrame({"split": split, "image_id": np.arange(len(ids)), "class_id": ids})
        for split, ids in splits.items()
    ]
    frame = pd.concat(frames).assign(path="image.png", bytes=1)
    return write_table(path, frame, INDEX, {}, {}).id


def write_text(
    path: Path, prompts: Sequence[str], vectors: np.ndarray, class_ids: Sequence[int], weights: str = LABELLER
) -> str:
    """A text table; its id."""
    frame = pd.DataFrame(
        {
            "prompt_id": np.arange(len(prompts)),
            "class_id": class_ids,
            "prompts": [[prompt] for prompt in prompts],
            "embedding": list(vectors.astype(np.float32)),
        }
    )
    return write_table(path, frame, TEXT, {"prompts": list(prompts)}, {"weights": weights}).id
