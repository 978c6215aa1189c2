"""Images in a column of a parquet file.

`where` is "OFFSET+BYTES+CHECKSUM" if the bytes lie in the file as they are: the column is not compressed.
Else it is "COLUMN@GROUP.ROW+BYTES+CHECKSUM": the column of a group of rows is unpacked, the last one is kept.
"""

import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from reliance.images.source import Held, check_size, not_listed, opened


def checksum(content: bytes) -> str:
    """What tells whether bytes are those that were indexed."""
    return f"{zlib.crc32(content):08x}"


def read(at: Held, limit: int) -> bytes:
    """The bytes of an image. Raises RelianceError if they are not those that were indexed."""
    where, size, expected = at.where.rsplit("+", 2)
    check_size(int(size), limit)
    column, packed, row = where.rpartition("@")
    if packed:
        group, _, row = row.partition(".")
        content = _unpacked(at.container, column, int(group), int(row))
    else:
        content = opened(at.container).read(int(where), int(size))
    if len(content) != int(size) or checksum(content) != expected:
        raise not_listed(at, "other bytes, or none, at its place", "the parquet file as it was indexed")
    return content


def values_of(file: Any, column: str, group: int) -> Any:
    """An arrow array: a column ("image.bytes" or "image") in a group of rows of a pq.ParquetFile."""
    import pyarrow as pa

    name, _, field = column.partition(".")
    table = file.read_row_group(group, columns=[column])
    array = table.column(name)
    found = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if field:
        found = found.field(field) if not found.null_count else pa.compute.struct_field(found, field)
    return found


def _unpacked(path: Path, column: str, group: int, row: int) -> bytes:
    import pyarrow as pa

    about = path.stat()
    try:
        values = _group(str(path), column, group, about.st_size, about.st_mtime_ns)
        return bytes(values[row].as_buffer() or b"")
    except (pa.ArrowException, IndexError, KeyError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"
        raise not_listed(path, found, "the parquet file as it was indexed") from error


@lru_cache(maxsize=1)
def _group(path: str, column: str, group: int, *state: int) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return values_of(file, column, group)
