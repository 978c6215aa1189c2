"""Tables that are too long for memory: written block by block, read by row groups."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reliance.base.artifacts import STAMP_KEY, Stamp, TableSpec, checked_stamp, derived_stamp, unreadable
from reliance.base.finite import all_finite
from reliance.base.writing import atomic, naming


class TableWriter:
    """A table of finite numbers that grows."""

    def __init__(self, path: str | Path, writer: pq.ParquetWriter, stamp: Stamp) -> None:
        self.stamp, self._path, self._writer = stamp, path, writer

    def write(self, columns: Sequence[np.ndarray]) -> None:
        """Append rows; columns in the order of the schema, cast to its types.

        Raises RelianceError for numbers that are not finite, also once they are cast.
        """
        schema = self._writer.schema
        with np.errstate(over="ignore"):  # it is refused below
            cast = [np.asarray(c, f.type.to_pandas_dtype()) for c, f in zip(columns, schema, strict=True)]
        all_finite(self._path, dict(zip(schema.names, cast, strict=True)))
        with naming(self._path):  # several tables may grow at once
            self._writer.write_table(pa.table(cast, schema=schema))


@contextmanager
def writing_table(
    path: str | Path, spec: TableSpec, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> Iterator[TableWriter]:
    """A writer of `path`, which is there once the block of `with` ends without an error."""
    stamp = derived_stamp(spec.kind, spec.version, params, inputs)
    fields = [(name, pa.type_for_alias(kind)) for name, kind in spec.columns]
    schema = pa.schema(fields, metadata={STAMP_KEY: stamp.to_json()})
    options = {"compression": "zstd", "write_page_checksum": True}
    with naming(path), atomic(path) as temporary, pq.ParquetWriter(temporary, schema, **options) as writer:
        yield TableWriter(path, writer, stamp)


class TableReader:
    """A table on disk, checked to be what `spec` says; its rows come by groups.

    Raises RelianceError as `read_table` does, when opened or while rows are read, and for numbers that are
    not finite.
    """

    def __init__(self, path: str | Path, spec: TableSpec) -> None:
        self._path, self._kind = path, spec.kind
        try:
            with pq.ParquetFile(path) as file:
                self.stamp = checked_stamp(path, file.schema_arrow, spec)
                self.rows: int = file.metadata.num_rows
        except (OSError, pa.ArrowException) as error:
            raise unreadable(path, spec.kind, error) from error

    def groups(self, columns: Sequence[str]) -> Iterator[list[np.ndarray]]:
        """Some columns, a group of rows at a time, in the order of the rows."""
        try:
            with pq.ParquetFile(self._path, page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=list(columns))
                    found = {name: table[name].to_numpy() for name in columns}
                    all_finite(self._path, found)
                    yield list(found.values())
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self._path, self._kind, error) from error
