"""The columns of a table between pandas and parquet, in the types that a TableSpec names."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from reliance.errors import RelianceError, make_again
from reliance.identity import TableSpec


def check_columns(path: str | Path, schema: pa.Schema, spec: TableSpec) -> None:
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
    if kind == "embedding":
        return isinstance(found, pa.FixedSizeListType) and bool(found.value_type == pa.float32())
    return bool(found == (pa.list_(pa.string()) if kind == "strings" else pa.type_for_alias(kind)))


def to_arrow(column: pd.Series, kind: str) -> pa.Array:
    """A column in the type that a TableSpec names; what is missing stays missing."""
    if kind == "embedding":
        matrix = (
            np.stack(column.to_list()).astype(np.float32) if len(column) else np.zeros((0, 1), np.float32)
        )
        return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
    target = pa.list_(pa.string()) if kind == "strings" else pa.type_for_alias(kind)
    if pa.types.is_floating(target):  # from_pandas would make NaN a missing value
        return pa.array(column.to_numpy(dtype=kind))
    return pa.array(column.to_list() if "string" in kind else column, type=target, from_pandas=True)


def to_pandas(column: pa.ChunkedArray) -> Any:
    """A column as pandas takes it; embeddings as one array per row."""
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return list(flat.reshape(-1, width))
    if pa.types.is_string(column.type) or pa.types.is_list(column.type):
        return np.array([*column.to_pylist(), None], dtype=object)[:-1]
    return column.to_numpy()
