"""Schemas of the tables this room writes, and how other rooms read an index.

An image's key inside a data set is (split, image_id); `image_id` is its row inside the split.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reliance.base.artifacts import Stamp, TableSpec, read_table
from reliance.base.errors import RelianceError, run_again

if TYPE_CHECKING:
    import pandas as pd

# An index also has the columns of KEPT. They are no part of its identity: a data set is what its images are.
KEPT = (
    ("modified", "int64"),  # nanoseconds, when the file or its container was last written
    ("place", "string"),  # of an image in a container, see images.source; "" for a file of its own
    ("caption", "string"),  # several texts about one image on lines of their own; "" where there is none
)
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
    places: np.ndarray  # [N] str objects, where images in containers lie


def read_split(index: str | Path, split: str) -> SplitRows:
    """Rows of one split of an index.

    Raises RelianceError if the index cannot be read or has no such split.
    """
    frame, stamp = read_table(index, INDEX, columns=["split", "path", "class_id", "bytes", "place"])
    frame = with_places(frame)
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
    return SplitRows(*columns, stamp, rows["place"].to_numpy(object))


def with_places(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of an index with the column `place`, which those from before there were containers have not."""
    return frame if "place" in frame else frame.assign(place="")


def tolerated(max_invalid: float, images: int) -> float:
    """How many of so many images may be unusable: max_invalid below 1 is a share, and at least one image."""
    return max_invalid if max_invalid >= 1 or max_invalid == 0 else max(1.0, max_invalid * images)
