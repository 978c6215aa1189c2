"""Rows of an index without the others: what a part of a split, or a figure, needs of millions of images.

The rows of a split lie side by side, in the order of image_id, and a file knows what its groups of rows hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reliance.base.artifacts import Stamp, checked_stamp, unreadable
from reliance.base.rows import PartRange, part_range
from reliance.images.tables import INDEX, SplitRows, read_split, with_places

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("path", "class_id", "bytes", "place")


def counted(index: str | Path) -> dict[str, int]:
    """Split -> images, without reading the rows. Raises OSError or ValueError for what is no such table."""
    from pyarrow import parquet

    with parquet.ParquetFile(index) as file:
        return {split: span.stop - span.start for split, span in _spans(file).items()}


def read_part(
    index: str | Path, split: str, part_index: int = 0, parts: int = 1
) -> tuple[SplitRows, PartRange]:
    """Rows of one part of a split, and where they stand in it. Raises RelianceError as `read_split`."""
    with _opened(index) as (file, stamp):
        span = _spans(file).get(split)
        if span is None:
            return read_split(index, split), PartRange(0, 0)  # which says what splits there are
        part = part_range(span.stop - span.start, parts, part_index)
        rows = _rows(file, PartRange(span.start + part.start, span.start + part.stop), ("split", *COLUMNS))
        if not (rows["split"] == split).all():
            raise unreadable(index, INDEX.kind, ValueError(f"rows of {split} are not side by side"))
        columns = rows["path"].to_numpy(object), rows["class_id"].to_numpy(np.int32), rows["bytes"].to_numpy()
        return SplitRows(*columns, stamp, rows["place"].to_numpy(object)), part


def take(index: str | Path, wanted: dict[str, Sequence[int]]) -> tuple[pd.DataFrame, Stamp]:
    """Some images as rows (split, image_id, path, bytes, place), in the order of the index.

    wanted : split -> image_ids; those that there are not are left out. One group of rows is held at a time.
    """
    import pandas as pd

    columns = ("split", "image_id", *COLUMNS)
    with _opened(index) as (file, stamp):
        found, spans = [_rows(file, PartRange(0, 0), columns)], _spans(file)
        for split in [name for name in spans if name in wanted]:
            ids = np.unique(np.asarray(wanted[split], np.int64))
            rows = ids[(ids >= 0) & (ids < spans[split].stop - spans[split].start)] + spans[split].start
            for group in _groups(file):
                here = rows[(rows >= group.start) & (rows < group.stop)]
                if len(here):
                    whole = _rows(file, group, columns)
                    found.append(whole.iloc[here - group.start])
    return pd.concat(found, ignore_index=True), stamp


def paths_of(index: str | Path, split: str, rows: Sequence[int]) -> list[str]:
    """Paths of some images of a split, in the order of `rows`."""
    found, _ = take(index, {split: rows})
    known = dict(zip(found["image_id"].tolist(), found["path"].tolist(), strict=True))
    return [known[row] for row in rows]


@contextmanager
def _opened(index: str | Path) -> Iterator[tuple[Any, Stamp]]:
    """An index as a file, and its stamp. Raises RelianceError as `read_table`."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(index, page_checksum_verification=True) as file:
            yield file, checked_stamp(index, file.schema_arrow, INDEX)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(index, INDEX.kind, error) from error


def _groups(file: Any) -> list[PartRange]:
    """First and last row of every group of rows."""
    counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    stops = np.cumsum([0, *counts]).tolist()
    return [PartRange(start, stop) for start, stop in pairwise(stops)]


def _spans(file: Any) -> dict[str, PartRange]:
    """The rows of every split. Only groups in which splits meet are read, and of these only that column."""
    column, found = file.schema_arrow.names.index("split"), dict[str, PartRange]()
    for number, group in enumerate(_groups(file)):
        told = file.metadata.row_group(number).column(column).statistics
        if told is not None and told.has_min_max and told.min == told.max and not told.null_count:
            runs = [(told.min, group.stop - group.start)]
        else:
            values = file.read_row_group(number, columns=["split"]).column("split").to_numpy()
            starts = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
            runs = [(values[a], b - a) for a, b in pairwise(starts) if b > a]
        row = group.start
        for split, count in runs:
            before = found.get(split, PartRange(row, row))
            found[split] = PartRange(before.start, before.stop + count)
            row += count
    return found


def _rows(file: Any, rows: PartRange, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of rows of the file, as far as it has them."""
    import pandas as pd

    groups = _groups(file)
    chosen = [i for i, group in enumerate(groups) if group.start < rows.stop and group.stop > rows.start]
    first = groups[chosen[0]].start if chosen else 0
    names = [name for name in columns if name in file.schema_arrow.names]
    table = file.read_row_groups(chosen, columns=names).slice(rows.start - first, rows.stop - rows.start)
    found = {}
    for name in names:
        text = name in ("split", "path", "place")
        found[name] = pd.Series(table[name].to_pylist(), dtype=object) if text else table[name].to_numpy()
    return with_places(pd.DataFrame(found))
