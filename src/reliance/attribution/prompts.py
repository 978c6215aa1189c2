"""The prompts of a data set's classes: one text vector each, read without torch."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import Stamp, read_table
from reliance.base.errors import RelianceError
from reliance.encoders.text import TEXT


class Prompts(NamedTuple):
    """One unit text vector per class."""

    class_ids: np.ndarray  # int64 [C], ascending
    vectors: np.ndarray  # float32 [C, p]
    stamp: Stamp


def read_prompts(path: str | Path) -> Prompts:
    """Read a prompt set whose rows are classes; rows without a class are left out.

    Raises RelianceError if a class has several rows or no row has a class.
    """
    frame, stamp = read_table(path, TEXT, columns=["class_id", "embedding"])
    frame = frame[frame["class_id"] >= 0]
    class_ids, first, counts = np.unique(frame["class_id"], return_index=True, return_counts=True)
    if not len(class_ids) or counts.max() > 1:
        found = f"{counts.max()} for class {class_ids[counts.argmax()]}" if len(counts) else "no class"
        raise RelianceError(
            path,
            "a prompt set has one text vector per class",
            found=found,
            allowed="one per class: the prompt sets short, templated, extended, both",
            next_step="a vocabulary or list of words was given where the prompts of classes are needed",
        )
    vectors = np.stack(frame["embedding"].to_numpy()[first].tolist())
    return Prompts(class_ids.astype(np.int64), vectors, stamp)
