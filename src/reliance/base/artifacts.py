"""Artifacts that say who they are: ids, stamps, and tables that are checked when read.

An id is a content hash for what training or an accelerator made, and a hash of
(kind, schema version, params, input ids) for everything computed from those. pandas and pyarrow are
imported where a table is read or written: half of the jobs have none.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reliance.base.errors import RelianceError, make_again
from reliance.base.finite import all_finite
from reliance.base.writing import atomic

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

STAMP_KEY, CHECKSUM, ABOUT_KEY = "reliance", "checksum", "reliance_about"


class Stamp(NamedTuple):
    """What an artifact says about itself."""

    kind: str  # what it is: "index", "embeddings", "sae", ...
    schema: int  # version of its layout; another version is rebuilt, never migrated
    id: str  # 64 hex digits
    params: dict[str, Any]  # the values that shaped it (plain JSON values)
    inputs: dict[str, str]  # name -> id of every artifact it was made from

    def to_json(self) -> str:
        """The stamp as one line of JSON, keys sorted."""
        return json.dumps(self._asdict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Stamp:
        """The stamp that `to_json` wrote."""
        return cls(**json.loads(text))


class TableSpec(NamedTuple):
    """The schema of one parquet artifact; lives in the module that writes it."""

    kind: str
    version: int
    columns: tuple[tuple[str, str], ...]  # (name, pyarrow type name or "embedding")


class Table(NamedTuple):
    """A table as read, with its stamp."""

    frame: pd.DataFrame
    stamp: Stamp


def derived_stamp(kind: str, schema: int, params: Mapping[str, Any], inputs: Mapping[str, str]) -> Stamp:
    """Stamp of an artifact that is a pure function of its params and inputs."""
    stamp = content_stamp(kind, schema, "", params, inputs)
    record = {"kind": kind, "schema": schema, "params": stamp.params, "inputs": stamp.inputs}
    return stamp._replace(id=hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest())


def content_stamp(
    kind: str, schema: int, content: str, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> Stamp:
    """Stamp of an artifact known by its bytes: `content` is its hash (64 hex digits)."""
    plain = json.loads(json.dumps(dict(params), allow_nan=False))  # as read back: a stamp equals itself
    return Stamp(kind, schema, content, plain, dict(inputs))


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of arrays, in name order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_table(
    path: str | Path,
    frame: pd.DataFrame,
    spec: TableSpec,
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    *,
    row_group: int = 1 << 20,
    about: Mapping[str, Any] | None = None,
) -> Stamp:
    """Write a table atomically, cast to its spec, with its stamp in the parquet metadata.

    about : what a reader may want to know (plain JSON values) that is no part of the table's identity.
    Raises KeyError if a column of the spec is missing from `frame`, ValueError if one lacks a value or
    does not fit its type (bugs, not user errors).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    stamp = derived_stamp(spec.kind, spec.version, params, inputs)
    columns = {name: _to_arrow(frame[name], kind) for name, kind in spec.columns}
    if lacking := [name for name, column in columns.items() if column.null_count]:
        raise ValueError(f"{spec.kind}: no value in some rows of {', '.join(lacking)}")
    metadata = {STAMP_KEY: stamp.to_json()} | ({ABOUT_KEY: json.dumps(about)} if about else {})
    table = pa.table(columns).replace_schema_metadata(metadata)
    with atomic(path) as temporary:
        pq.write_table(
            table, temporary, compression="zstd", row_group_size=row_group, write_page_checksum=True
        )
    return stamp


def read_table(path: str | Path, spec: TableSpec, columns: list[str] | None = None) -> Table:
    """Read a table and check that it is what `spec` says.

    Raises RelianceError if the file is missing, not parquet or damaged, of another kind or
    schema version, lacks a column or has one of another type, or has vectors that are not finite.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            stamp = checked_stamp(path, file.schema_arrow, spec)
            table = file.read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, spec.kind, error) from error
    frame = pd.DataFrame({name: _to_pandas(table[name]) for name in table.column_names})
    vectors = [name for name, kind in spec.columns if kind == "embedding" and name in frame and len(frame)]
    all_finite(path, {name: np.stack(frame[name].to_list()) for name in vectors})
    return Table(frame, stamp)


def checked_stamp(path: str | Path, schema: pa.Schema, spec: TableSpec) -> Stamp:
    """The stamp in a parquet schema. Raises RelianceError unless kind, version and columns are the spec's."""
    stamp = _stamp_of(path, (schema.metadata or {}).get(STAMP_KEY.encode()), spec.kind)
    check_kind(path, stamp, spec.kind, spec.version)
    _check_columns(path, schema, spec)
    return stamp


def write_json(path: str | Path, payload: Mapping[str, Any], stamp: Stamp) -> Stamp:
    """Write a small JSON artifact atomically, its stamp under the key "reliance", and its checksum."""
    record = {**payload, STAMP_KEY: stamp._asdict()}
    record[CHECKSUM] = _checksum(record)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return stamp


def read_json(path: str | Path, kind: str, schema: int) -> tuple[dict[str, Any], Stamp]:
    """Read what `write_json` wrote: (payload, stamp). Raises RelianceError as `read_table`."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, kind, error) from error
    record = record if isinstance(record, dict) else {}
    if (checksum := record.pop(CHECKSUM, None)) not in (None, _checksum(record)):
        raise unreadable(path, kind, ValueError(f"its content does not have the checksum {checksum}"))
    found = record.pop(STAMP_KEY, None)
    stamp = _stamp_of(path, json.dumps(found) if found else None, kind)
    check_kind(path, stamp, kind, schema)
    return record, stamp


def write_meta(path: str | Path, stamp: Stamp, **extra: Any) -> None:
    """Write `<path>.meta.json`: stamp and SHA-256 of a text file or figure, and the versions that made it."""
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "numpy": np.__version__}
    record = {STAMP_KEY: stamp._asdict(), "sha256": hash_file(Path(path)), "versions": versions, **extra}
    with atomic(f"{path}.meta.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def check_kind(path: str | Path, stamp: Stamp, kind: str, schema: int) -> None:
    """Raise RelianceError unless the artifact has this kind and schema version."""
    if (stamp.kind, stamp.schema) != (kind, schema):
        raise RelianceError(
            path,
            f"this artifact must be '{kind}' in schema version {schema}",
            found=f"'{stamp.kind}' in schema version {stamp.schema}",
            allowed=f"'{kind}', version {schema}",
            next_step=f"another version made it, or it was put in the wrong place: {make_again(path)}",
        )


def check_same(what: str, first: tuple[str | Path, str], second: tuple[str | Path, str]) -> None:
    """Raise RelianceError unless two artifacts name the same `what` by id.

    Each side is (path of the artifact, the id it carries for `what`).
    """
    if first[1] != second[1]:
        raise RelianceError(
            first[0],
            f"it must come from the same {what} as {second[0]}",
            found=f"{what} {first[1][:12]}, but {second[1][:12]} there",
            allowed="one and the same id on both sides",
            next_step="one of the two is older than the other or was copied from another run: "
            + make_again(first[0], with_parts=True),
        )


def unreadable(path: str | Path, kind: str, error: Exception) -> RelianceError:
    """The error for a file that is missing, truncated or not in its format."""
    missing = isinstance(error, FileNotFoundError)
    return RelianceError(
        path,
        f"this file must be a readable '{kind}' artifact",
        found="no such file" if missing else f"{type(error).__name__}: {error}",
        allowed=f"the file that the pipeline wrote as '{kind}'",
        next_step=f"it {'is gone' if missing else 'was truncated or changed'}: {make_again(path)}",
    )


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _stamp_of(path: str | Path, text: str | bytes | None, kind: str) -> Stamp:
    if text is None:
        raise RelianceError(
            path,
            f"a '{kind}' artifact carries its stamp",
            found="no stamp",
            allowed="a file written by this pipeline",
            next_step=f"it was made by something else: move it away and {make_again(path)}",
        )
    try:
        return Stamp.from_json(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise unreadable(path, kind, error) from error


def _check_columns(path: str | Path, schema: pa.Schema, spec: TableSpec) -> None:
    """Raise RelianceError unless the file has all columns of the spec in their types."""
    types = dict(zip(schema.names, schema.types, strict=True))
    wrong = [
        f"{name} {types.get(name, 'missing')}"
        for name, kind in spec.columns
        if not _is(types.get(name), kind)
    ]
    if wrong:
        raise RelianceError(
            path,
            f"a '{spec.kind}' table has the columns of its schema",
            found=", ".join(wrong),
            allowed=", ".join(f"{name} {kind}" for name, kind in spec.columns),
            next_step=f"the file was changed or made by other code: {make_again(path)}",
        )


def _is(found: pa.DataType | None, kind: str) -> bool:
    import pyarrow as pa

    if kind == "embedding":
        return isinstance(found, pa.FixedSizeListType) and bool(found.value_type == pa.float32())
    return bool(found == (pa.list_(pa.string()) if kind == "strings" else pa.type_for_alias(kind)))


def _to_arrow(column: pd.Series, kind: str) -> pa.Array:
    """A column in the type that a TableSpec names; what is missing stays missing."""
    import pyarrow as pa

    if kind == "embedding":
        matrix = np.stack(column.to_list() or [np.zeros(1)])[: len(column)].astype(np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
    target = pa.list_(pa.string()) if kind == "strings" else pa.type_for_alias(kind)
    if pa.types.is_floating(target):  # from_pandas would make NaN a missing value
        return pa.array(column.to_numpy(dtype=kind))
    return pa.array(column.to_list() if "string" in kind else column, type=target, from_pandas=True)


def _to_pandas(column: pa.ChunkedArray) -> Any:
    """A column as pandas takes it; embeddings as one array per row."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return list(flat.reshape(-1, width))
    if pa.types.is_string(column.type) or pa.types.is_list(column.type):
        return np.array([*column.to_pylist(), None], dtype=object)[:-1]
    return column.to_numpy()
