"""Rows of a split in K zarr parts and a manifest: embeddings and codes are stored this way.

Part i of K holds the rows [i N / K, (i + 1) N / K). A part is written chunk by chunk into a
hidden folder beside its final name, so that a killed job goes on where it stopped, and renamed
at the end. The manifest lists the parts with their content hashes; readers open parts through it.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr

from reliance.errors import RelianceError
from reliance.identity import (
    STAMP_KEY,
    Stamp,
    content_stamp,
    derived_stamp,
    hash_arrays,
    read_json,
    unreadable,
    write_json,
)

SCHEMA = 1


class Layout(NamedTuple):
    """One array of a part: every row has this shape and dtype."""

    shape: tuple[int, ...]
    dtype: str


class PartRange(NamedTuple):
    """Rows [start, stop) of a split."""

    start: int
    stop: int


def part_range(rows: int, parts: int, index: int) -> PartRange:
    """The rows of part `index` of `parts` in a split of `rows` rows."""
    return PartRange(index * rows // parts, (index + 1) * rows // parts)


class PartWriter:
    """Writes one part; `next_row` says where to start, which after a kill is not the first row.

    Parameters
    ----------
    path : final folder of the part.
    rows : its range in the split.
    layouts : name -> Layout of each array.
    params, inputs : what the part depends on; progress made under other ones is thrown away.
    code : fingerprint of the code, part of the same key but not of the identity.
    chunk_rows : rows per chunk, also the unit of resuming.
    """

    def __init__(
        self,
        path: str | Path,
        kind: str,
        rows: PartRange,
        layouts: Mapping[str, Layout],
        params: Mapping[str, Any],
        inputs: Mapping[str, str],
        *,
        code: str = "",
        chunk_rows: int = 4096,
    ) -> None:
        self.path, self.kind, self.rows, self.chunk_rows = Path(path), kind, rows, chunk_rows
        self.params, self.inputs = dict(params), dict(inputs)
        key = derived_stamp(kind, SCHEMA, {**params, "code": code, "rows": list(rows)}, inputs).id[:16]
        self.partial = self.path.with_name(f".{self.path.name}.partial-{key}")
        for other in self.path.parent.glob(f".{self.path.name}.partial-*"):
            if other != self.partial:
                shutil.rmtree(other)
        self._state = self.partial / "progress.json"
        self._hashes: list[str] = []
        self._excluded: list[tuple[int, str]] = []
        if self._state.exists():
            state = json.loads(self._state.read_text())
            self._hashes, self._excluded = state["hashes"], [tuple(e) for e in state["excluded"]]
            self._group: Any = zarr.open_group(self.partial, mode="r+")
        else:
            shutil.rmtree(self.partial, ignore_errors=True)
            self._group = self._create(layouts)

    @property
    def next_row(self) -> int:
        """First row of the split that is not yet written."""
        return min(self.rows.start + len(self._hashes) * self.chunk_rows, self.rows.stop)

    def append(self, arrays: Mapping[str, np.ndarray], excluded: Sequence[tuple[int, str]] = ()) -> None:
        """Write the next chunk: `chunk_rows` rows, or the last, shorter one; (row, reason) of bad rows."""
        start = self.next_row - self.rows.start
        count = min(self.chunk_rows, self.rows.stop - self.next_row)
        for name, array in arrays.items():
            if len(array) != count:
                raise ValueError(f"{name}: the next chunk has {count} rows, got {len(array)}")
            self._group[name][start : start + count] = array
        self._hashes.append(hash_arrays({n: self._group[n][start : start + count] for n in arrays}))
        self._excluded += [(int(row), reason) for row, reason in excluded]
        temporary = self._state.with_suffix(".tmp")
        temporary.write_text(json.dumps({"hashes": self._hashes, "excluded": self._excluded}))
        temporary.replace(self._state)

    def finish(self) -> Stamp:
        """Stamp the part and give it its final name."""
        if self.next_row != self.rows.stop:
            raise ValueError(f"{self.path}: rows {self.next_row} to {self.rows.stop} are missing")
        content = _hash_part(self.rows, self._hashes)
        stamp = content_stamp(self.kind, SCHEMA, content, self.params, self.inputs)
        record = {"rows": list(self.rows), "chunk_rows": self.chunk_rows, "excluded": self._excluded}
        self._group.attrs.update({STAMP_KEY: stamp._asdict(), **record})
        self._state.unlink(missing_ok=True)
        if self.path.exists():
            shutil.rmtree(self.path)
        self.partial.rename(self.path)
        return stamp

    def _create(self, layouts: Mapping[str, Layout]) -> Any:
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(self.partial, mode="w")
        count = self.rows.stop - self.rows.start
        for name, layout in layouts.items():
            chunks = (max(1, min(self.chunk_rows, count)), *layout.shape)
            group.create_array(
                name, shape=(count, *layout.shape), dtype=layout.dtype, chunks=chunks, compressors=None
            )
        return group


class Parts:
    """A split read through its manifest: `rows`, `stamp`, and rows by range or by index."""

    def __init__(self, manifest: str | Path, kind: str) -> None:
        self.path = Path(manifest)
        record, self.stamp = read_json(self.path, kind, SCHEMA)
        self.kind = kind
        self.rows: int = record["rows"]
        self.excluded: list[tuple[int, str]] = [(row, reason) for row, reason in record["excluded"]]
        self.layouts = {n: Layout(tuple(v["shape"]), v["dtype"]) for n, v in record["arrays"].items()}
        self._starts = np.array([p["start"] for p in record["parts"]])
        self._groups = [self._open(p) for p in record["parts"]]

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows [start, stop) of one array, [n, ...]."""
        stop = self.rows if stop is None else min(stop, self.rows)
        out = np.empty((max(0, stop - start), *self.layouts[name].shape), self.layouts[name].dtype)
        for begin, group in zip(self._starts, self._groups, strict=True):
            low, high = max(start, begin), min(stop, begin + group[name].shape[0])
            if low < high:
                out[low - start : high - start] = group[name][low - begin : high - begin]
        return out

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Rows of one array by index (any order), [n, ...]; each chunk that holds one is read once."""
        rows = np.asarray(rows, dtype=np.int64)
        out = np.empty((len(rows), *self.layouts[name].shape), self.layouts[name].dtype)
        order = np.argsort(rows, kind="stable")
        part = np.searchsorted(self._starts, rows[order], side="right") - 1
        for i in np.unique(part):
            chosen = order[part == i]
            out[chosen] = self._groups[i][name].get_orthogonal_selection(rows[chosen] - self._starts[i])
        return out

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Consecutive ranges of at most `block_rows` rows that cover the split."""
        for start in range(0, self.rows, block_rows):
            yield PartRange(start, min(start + block_rows, self.rows))

    def _open(self, part: Mapping[str, Any]) -> Any:
        folder = self.path.parent / part["name"]
        try:
            group: Any = zarr.open_group(folder, mode="r")
            found = group.attrs[STAMP_KEY]["id"]
        except (OSError, KeyError, ValueError) as error:
            raise unreadable(folder, self.kind, error) from error
        if found != part["sha256"]:
            raise RelianceError(
                folder,
                f"the part must be the one that {self.path} was written for",
                found=f"content {found[:12]}",
                allowed=f"content {part['sha256'][:12]}",
                next_step=f"the part was rebuilt or copied alone: delete {self.path} and run it again",
            )
        return group


def write_manifest(path: str | Path, parts: Sequence[str | Path], kind: str) -> Stamp:
    """Gather finished parts, given in order, into a manifest beside them.

    Raises RelianceError if the parts do not follow each other or were made with other params or inputs.
    """
    path, entries, excluded, content = Path(path), [], [], hashlib.sha256()
    arrays: dict[str, Any] = {}
    first: Stamp | None = None
    expected = 0
    for folder in map(Path, parts):
        try:
            group = zarr.open_group(folder, mode="r")
            attrs: dict[str, Any] = dict(group.attrs)
            stamp = Stamp(**attrs[STAMP_KEY])
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise unreadable(folder, kind, error) from error
        first = first or stamp
        start, stop = attrs["rows"]
        if (stamp.kind, stamp.params, stamp.inputs, start) != (kind, first.params, first.inputs, expected):
            raise RelianceError(
                folder,
                "the parts of a split are made by the same rule, params and inputs, and follow each other",
                found=f"kind {stamp.kind}, rows from {start}, made from {stamp.inputs}",
                allowed=f"kind {kind}, rows from {expected}, made from {first.inputs}",
                next_step="parts of different runs are mixed: delete this folder and run the target again",
            )
        arrays = {n: {"shape": list(a.shape[1:]), "dtype": a.dtype.str} for n, a in sorted(group.arrays())}
        entries.append({"name": folder.name, "start": start, "stop": stop, "sha256": stamp.id})
        excluded += attrs["excluded"]
        content.update(stamp.id.encode())
        expected = stop
    if first is None:
        raise ValueError("a split has at least one part")
    record = {"rows": expected, "arrays": arrays, "parts": entries, "excluded": excluded}
    stamp = content_stamp(kind, SCHEMA, content.hexdigest(), first.params, first.inputs)
    return write_json(path, record, stamp)


def verify_part(folder: str | Path) -> bool:
    """Whether the arrays of a finished part still have the content its stamp names."""
    group: Any = zarr.open_group(folder, mode="r")
    attrs: dict[str, Any] = dict(group.attrs)
    rows, step = PartRange(*attrs["rows"]), attrs["chunk_rows"]
    names = [name for name, _ in group.arrays()]
    hashes = [
        hash_arrays({n: np.asarray(group[n][s : min(s + step, rows.stop - rows.start)]) for n in names})
        for s in range(0, rows.stop - rows.start, step)
    ]
    return _hash_part(rows, hashes) == str(attrs[STAMP_KEY]["id"])


def _hash_part(rows: PartRange, chunk_hashes: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([f"{rows.start} {rows.stop}", *chunk_hashes]).encode()).hexdigest()
