"""Some rows of a long table: only the groups of rows that can hold them are read, and no table is kept.

A parquet file says of every group which values a column has from where to where. Tables of ours are sorted,
so the rows of one component, class or image lie in one group or two.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reliance.base.artifacts import Stamp, TableSpec, checked_stamp, unreadable
from reliance.images.tables import INDEX, with_places

PER_IMAGE = ["split", "image_id", "path", "class_id", "bytes", "place"]


def rows_where(
    path: Path,
    spec: TableSpec,
    where: Mapping[str, Sequence[Any]],
    columns: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, Stamp]:
    """The rows of a table whose columns have one of the given values each, in the order of the table.

    where : column -> values. columns : those that are returned, if they are there; else all of the spec.
    Raises RelianceError as `read_table`.
    """
    kept = list(columns or [name for name, _ in spec.columns])
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            stamp = checked_stamp(path, file.schema_arrow, spec)
            kept = [name for name in kept if name in file.schema_arrow.names]
            found = [_chosen(file, group, where, kept) for group in _groups(file, where)]
            table = pa.concat_tables(found) if found else file.schema_arrow.empty_table().select(kept)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, spec.kind, error) from error
    frame = pd.DataFrame({name: _plain(table[name]) for name in kept})
    return frame, stamp


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a table, columns as attributes."""
    return iter(frame.itertuples(index=False))


def images_of(index: Path, split: str, image_ids: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Rows of an index (columns PER_IMAGE) of some images of a split, by image_id."""
    wanted = np.unique(np.asarray(image_ids, np.int64))
    frame, _ = rows_where(index, INDEX, {"split": [split], "image_id": wanted.tolist()}, PER_IMAGE)
    return with_places(frame).set_index("image_id")


def image_at(index: Path, path: str) -> tuple[str, int] | None:
    """(split, image_id) of the image of an index at a path below its root, if there is one."""
    frame, _ = rows_where(index, INDEX, {"path": [path]}, ["split", "image_id"])
    return (str(frame["split"].iloc[0]), int(frame["image_id"].iloc[0])) if len(frame) else None


def _groups(file: pq.ParquetFile, where: Mapping[str, Sequence[Any]]) -> Iterator[int]:
    """Groups of rows that can hold what is looked for."""
    places = {file.schema_arrow.get_field_index(name): values for name, values in where.items()}
    for group in range(file.num_row_groups):
        about = file.metadata.row_group(group)
        if all(_may_hold(about.column(place).statistics, values) for place, values in places.items()):
            yield group


def _may_hold(statistics: Any, values: Sequence[Any]) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= value <= statistics.max for value in values)


def _chosen(
    file: pq.ParquetFile, group: int, where: Mapping[str, Sequence[Any]], columns: list[str]
) -> pa.Table:
    """The rows of one group that are looked for."""
    keys = file.read_row_group(group, columns=list(where))
    mask = None
    for name, values in where.items():
        wanted = pa.array(list(values), type=keys.schema.field(name).type)
        one = pc.equal(keys[name], wanted[0]) if len(wanted) == 1 else pc.is_in(keys[name], wanted)
        mask = one if mask is None else pc.and_(mask, one)
    return file.read_row_group(group, columns=columns).filter(mask)


def _plain(column: pa.ChunkedArray) -> Any:
    if pa.types.is_string(column.type):
        return np.array([*column.to_pylist(), None], dtype=object)[:-1]
    return column.to_numpy()
