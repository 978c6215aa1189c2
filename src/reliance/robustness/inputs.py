"""Opens a split of stored embeddings with what belongs to it, and yields unit image embeddings."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import check_same
from reliance.base.errors import RelianceError
from reliance.base.rows import Parts
from reliance.encoders.head import Head, load_head, project
from reliance.images.tables import read_split


class Split(NamedTuple):
    """One split of a labelled data set, embedded."""

    parts: Parts  # x [N, d]
    class_ids: np.ndarray  # [N] int32; -1 for an image without a class or that cannot be read
    readable: np.ndarray  # [N] bool
    head: Head
    ids: dict[str, str]  # of the artifacts: index, embeddings, weights


def open_split(index: Path, embeddings: Path, head: Path, split: str) -> Split:
    """Open one split and the head of its encoder.

    Raises RelianceError if they come from different images or weights, or are of another split.
    """
    parts = Parts(embeddings, "embeddings")
    rows = read_split(index, split)
    loaded, head_stamp = load_head(head)
    inputs = parts.stamp.inputs
    check_same("index", (embeddings, inputs["index"]), (index, rows.stamp.id))
    check_same("encoder weights", (head, head_stamp.inputs["weights"]), (embeddings, inputs["weights"]))
    if parts.rows != len(rows.class_ids):
        raise RelianceError(
            embeddings,
            "the embeddings have one row per image of the split",
            found=f"{parts.rows} rows of split {parts.stamp.params.get('split')!r}",
            allowed=f"{len(rows.class_ids)} rows, as {index} has for split {split!r}",
            next_step="pass the manifest of this split",
        )
    readable = parts.read("valid").astype(bool)
    class_ids = np.where(readable, rows.class_ids, -1).astype(np.int32)
    ids = {"index": rows.stamp.id, "embeddings": parts.stamp.id, "weights": inputs["weights"]}
    return Split(parts, class_ids, readable, loaded, ids)


def unit_blocks(
    parts: Parts, head: Head, chosen: np.ndarray, block_rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Unit image embeddings of chosen rows, block by block.

    Parameters
    ----------
    chosen : bool [N].
    block_rows : rows read at a time.

    Yields (rows int64 [n], unit embeddings float32 [n, p]); blocks without a chosen row are not read.
    """
    for start, stop in parts.blocks(block_rows):
        inside = np.flatnonzero(chosen[start:stop])
        if len(inside):
            yield start + inside, unit(parts.read("x", start, stop)[inside], head)


def unit(x: np.ndarray, head: Head) -> np.ndarray:
    """Normalised image embeddings float32 [n, p] of class tokens [n, d]."""
    z = project(x.astype(np.float32, copy=False), head)
    normed: np.ndarray = z / np.linalg.norm(z, axis=1, keepdims=True)
    return normed
