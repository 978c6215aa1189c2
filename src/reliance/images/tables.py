"""Schemas of the tables this room writes, and how other rooms read an index.

An image's key inside a data set is (split, image_id); `image_id` is its row inside the split.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import Stamp, TableSpec, read_table
from reliance.base.errors import RelianceError, run_again

INDEX = TableSpec(
    "index",
    1,
    (
        ("split", "string"),
        ("image_id", "int64"),
        ("path", "string"),
        ("class_id", "int32"),
        ("bytes", "int64"),
    ),
)
CLASSES = TableSpec(
    "classes",
    1,
    (
        ("class_id", "int32"),
        ("folder", "string"),
        ("short_name", "string"),
        ("full_name", "string"),
        ("definition", "string"),
    ),
)
EXCLUDED = TableSpec(
    "excluded",
    1,
    (("split", "string"), ("image_id", "int64"), ("path", "string"), ("reason", "string")),
)


class SplitRows(NamedTuple):
    """One split of an index, in the order of image_id."""

    paths: np.ndarray  # [N] str objects, relative to the data set's root
    class_ids: np.ndarray  # [N] int32, -1 unknown
    sizes: np.ndarray  # [N] int64, bytes of each file
    stamp: Stamp  # of the whole index


def read_split(index: str | Path, split: str) -> SplitRows:
    """Rows of one split of an index.

    Raises RelianceError if the index cannot be read or has no such split.
    """
    frame, stamp = read_table(index, INDEX, columns=["split", "path", "class_id", "bytes"])
    rows = frame[frame["split"] == split]
    if rows.empty:
        raise RelianceError(
            index,
            "the split that is asked for must have images",
            found=f"no image in split {split!r}",
            allowed=", ".join(sorted(frame["split"].unique())) or "an index with images",
            next_step=f"check the data set's folders and `split`, then {run_again('index_images')}",
        )
    columns = rows["path"].to_numpy(object), rows["class_id"].to_numpy(np.int32), rows["bytes"].to_numpy()
    return SplitRows(*columns, stamp)


def tolerated(max_invalid: float, images: int) -> float:
    """How many of so many images may be unusable: max_invalid below 1 is a share, and at least one image."""
    return max_invalid if max_invalid >= 1 or max_invalid == 0 else max(1.0, max_invalid * images)
