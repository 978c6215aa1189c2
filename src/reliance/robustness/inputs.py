"""Opens a split of stored embeddings with what belongs to it, and yields unit image embeddings."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import check_same
from reliance.base.errors import RelianceError
from reliance.encoders.stored import Embeddings
from reliance.images.tables import read_split


class Embedded(NamedTuple):
    """One split of a labelled data set, embedded."""

    embeddings: Embeddings
    class_ids: np.ndarray  # [N] int32; -1 for an image without a class or that cannot be read
    readable: np.ndarray  # [N] bool
    ids: dict[str, str]  # of the artifacts: index, embeddings, weights


def open_split(index: Path, embeddings: Path, split: str) -> Embedded:
    """Open one embedded split.

    Raises RelianceError if they come from different images, or are of another split.
    """
    parts = Embeddings(embeddings)
    rows = read_split(index, split)
    inputs = parts.stamp.inputs
    check_same("index", (embeddings, inputs["index"]), (index, rows.stamp.id))
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
    return Embedded(parts, class_ids, readable, ids)


def unit_blocks(
    embeddings: Embeddings, chosen: np.ndarray, block_rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Unit image embeddings of chosen rows, block by block.

    Parameters
    ----------
    chosen : bool [N].
    block_rows : rows read at a time.

    Yields (rows int64 [n], unit embeddings float32 [n, p]); blocks without a chosen row are not read.
    """
    for rows, z in z_blocks(embeddings, chosen, block_rows):
        yield rows, unit(z)


def z_blocks(
    embeddings: Embeddings, chosen: np.ndarray, block_rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same with image embeddings as they are, float32 [n, p], not normalised."""
    for start, stop in embeddings.blocks(block_rows):
        inside = np.flatnonzero(chosen[start:stop])
        if len(inside):
            yield start + inside, embeddings.z(start, stop)[inside]


def length(z: np.ndarray) -> np.ndarray:
    """Lengths [n] of image embeddings [n, p]."""
    found: np.ndarray = np.linalg.norm(z, axis=1)
    return found


def unit(z: np.ndarray) -> np.ndarray:
    """Image embeddings [n, p] at unit length."""
    normed: np.ndarray = z / np.linalg.norm(z, axis=1, keepdims=True)
    return normed
