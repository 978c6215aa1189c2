"""Rows of a split in K zarr parts and a manifest: embeddings and codes are stored this way.

Part i of K holds the rows [i N / K, (i + 1) N / K). It is written chunk by chunk into a hidden folder
beside its final name, so that a killed job goes on where it stopped, and renamed at the end. The manifest
lists the parts with their content hashes; readers open parts through it.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    check_kind,
    content_stamp,
    derived_stamp,
    hash_arrays,
    read_json,
    unreadable,
    write_json,
)
from reliance.base.errors import RelianceError, make_again
from reliance.base.finite import finite_rows
from reliance.base.writing import claim, release

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

    path, rows : final folder of the part, and its range in the split.
    layouts : name -> Layout of each array.
    params, inputs : what the part depends on; progress made under other ones is thrown away.
    fingerprint : of the code, part of the same key but not of the identity.
    chunk_rows : rows per chunk, also the unit of resuming; the content hash is over chunks.
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
        fingerprint: str = "",
        chunk_rows: int = 4096,
    ) -> None:
        self.path, self.kind, self.rows, self.chunk_rows = Path(path), kind, rows, chunk_rows
        self.params, self.inputs, self.layouts = dict(params), dict(inputs), dict(layouts)
        shape = {"fingerprint": fingerprint, "rows": rows, "chunk_rows": chunk_rows, "layouts": self.layouts}
        key = derived_stamp(kind, SCHEMA, {"params": self.params, **shape}, inputs).id[:16]
        self.partial = claim(self.path, key)
        self._state = self.partial / "progress.json"
        import zarr  # here, because half of the jobs need none

        with zarr.config.set({"array.write_empty_chunks": True}):  # a chunk without a file is a lost one
            self._open(zarr)

    @property
    def next_row(self) -> int:
        """First row of the split that is not yet written."""
        return min(self.rows.start + len(self._hashes) * self.chunk_rows, self.rows.stop)

    def append(self, arrays: Mapping[str, np.ndarray], excluded: Sequence[tuple[int, str]] = ()) -> None:
        """Write the next chunk: `chunk_rows` rows, or the last, shorter one; (row, reason) of bad rows.

        Raises ValueError if the arrays are not those of the layouts or hold values their dtypes cannot.
        """
        first, last = self.next_row, min(self.next_row + self.chunk_rows, self.rows.stop)
        outside = [row for row, _ in excluded if not first <= row < last]
        if set(arrays) != set(self.layouts) or first == last or outside:
            raise ValueError(f"{self.path}: {list(arrays)}, {outside} are not of the rows {first} to {last}")
        stored = {n: _stored(n, arrays[n], last - first, layout) for n, layout in self.layouts.items()}
        for name, array in stored.items():
            self._arrays[name][first - self.rows.start : last - self.rows.start] = array
        self._hashes.append(hash_arrays(stored))
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
        record = {"rows": list(self.rows), "chunk_rows": self.chunk_rows, "arrays": sorted(self.layouts)}
        self._group.attrs.update({STAMP_KEY: stamp._asdict(), **record, "excluded": self._excluded})
        if self.path.exists():
            shutil.rmtree(self.path)
        self.partial.rename(self.path)
        (self.path / self._state.name).unlink(missing_ok=True)  # last: until here a kill loses nothing
        release(self.path)
        return stamp

    def _open(self, zarr: Any) -> None:
        """The unfinished part, as far as what was written is still there as it was, or a new one."""
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):  # none yet, or torn by a crash
            state = {"hashes": [], "excluded": []}
            self._create(zarr)
        self._group: Any = zarr.open_group(self.partial, mode="r+")
        self._arrays: dict[str, Any] = {name: self._group[name] for name in self.layouts}
        on_disk = _chunk_hashes(self.partial, self._arrays, self.rows, self.chunk_rows)
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(state["hashes"], on_disk, strict=False))
        self._hashes: list[str] = [known for known, _ in pairs]
        self._excluded = [(row, reason) for row, reason in state["excluded"] if row < self.next_row]

    def _create(self, zarr: Any) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        group, count = zarr.open_group(self.partial, mode="w"), self.rows.stop - self.rows.start
        for name, (shape, dtype) in self.layouts.items():
            chunks = (max(1, min(self.chunk_rows, count)), *shape)
            group.create_array(name, shape=(count, *shape), dtype=dtype, chunks=chunks, compressors=None)


class Parts:
    """A split read through its manifest: `rows`, `stamp`, and rows by range or by index.

    Raises RelianceError for parts that are missing, lack bytes or are others, and for values not finite.
    """

    def __init__(self, manifest: str | Path, kind: str) -> None:
        self.path, self.kind = Path(manifest), kind
        record, self.stamp = read_json(self.path, kind, SCHEMA)
        self.rows: int = record["rows"]
        self.excluded: list[tuple[int, str]] = [(row, reason) for row, reason in record["excluded"]]
        self.layouts = {n: Layout(tuple(v["shape"]), v["dtype"]) for n, v in record["arrays"].items()}
        self._starts = np.array([part["start"] for part in record["parts"]])
        self._arrays = [self._open(part["name"], part["sha256"]) for part in record["parts"]]

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows [start, stop) of one array, [n, ...]; `stop` may lie behind the end."""
        stop = self.rows if stop is None else min(stop, self.rows)
        if start < 0:
            raise IndexError(f"{self.path}: there is no row {start}")
        out = np.empty((max(0, stop - start), *self.layouts[name].shape), self.layouts[name].dtype)
        for begin, arrays in zip(self._starts, self._arrays, strict=True):
            low, high = max(start, begin), min(stop, begin + arrays[name].shape[0])
            if low < high:
                out[low - start : high - start] = arrays[name][low - begin : high - begin]
        return finite_rows(self.kind, self.path, name, out, start)

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Rows of one array by index (any order), [n, ...]; each chunk that holds one is read once.

        Raises IndexError if an index is not in [0, rows), or not an integer (masks are not understood).
        """
        rows = np.asarray(rows) if len(rows) else np.zeros(0, np.int64)
        if rows.dtype.kind not in "iu" or (rows.size and not 0 <= rows.min() <= rows.max() < self.rows):
            raise IndexError(f"{self.path}: rows must be integers from 0 to {self.rows - 1}")
        rows = rows.astype(np.int64)
        out = np.empty((len(rows), *self.layouts[name].shape), self.layouts[name].dtype)
        part = np.searchsorted(self._starts, rows, side="right") - 1
        for i in np.unique(part):
            chosen = part == i
            out[chosen] = self._arrays[i][name].get_orthogonal_selection(rows[chosen] - self._starts[i])
        return finite_rows(self.kind, self.path, name, out)

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Consecutive ranges of at most `block_rows` rows that cover the split."""
        for start in range(0, self.rows, block_rows):
            yield PartRange(start, min(start + block_rows, self.rows))

    def _open(self, name: str, content: str) -> dict[str, Any]:
        part = _open_part(self.path.parent / name, self.kind)
        if part.stamp.id != content:
            raise RelianceError(
                self.path.parent / name,
                f"the part must be the one that {self.path} was written for",
                found=f"content {part.stamp.id[:12]}",
                allowed=f"content {content[:12]}",
                next_step=f"the part was rebuilt or copied alone; its manifest: {make_again(self.path)}",
            )
        return part.arrays


def write_manifest(path: str | Path, parts: Sequence[str | Path], kind: str) -> Stamp:
    """Gather finished parts, given in order, into a manifest beside them.

    Raises RelianceError if a part is incomplete, of another run than the first, or out of order.
    """
    opened = [_open_part(Path(folder), kind) for folder in parts]
    first, entries, expected = opened[0], [], 0
    for folder, part in zip(parts, opened, strict=True):
        start, stop = part.rows
        same = (part.stamp.params, part.stamp.inputs, part.layouts)
        if start != expected or same != (first.stamp.params, first.stamp.inputs, first.layouts):
            raise RelianceError(
                folder,
                "the parts of a split are made by the same rule, params and inputs, and follow each other",
                found=f"rows from {start}, made from {part.stamp.inputs} with {part.stamp.params}",
                allowed=f"rows from {expected}, made from {first.stamp.inputs} with {first.stamp.params}",
                next_step=f"parts of different runs are mixed: {make_again(folder)}",
            )
        entries.append({"name": Path(folder).name, "start": start, "stop": stop, "sha256": part.stamp.id})
        expected = stop
    arrays = {name: layout._asdict() for name, layout in first.layouts.items()}
    excluded = [bad for part in opened for bad in part.excluded]
    record = {"rows": expected, "arrays": arrays, "parts": entries, "excluded": excluded}
    content = hashlib.sha256("".join(part.stamp.id for part in opened).encode()).hexdigest()
    stamp = content_stamp(kind, SCHEMA, content, first.stamp.params, first.stamp.inputs)
    return write_json(path, record, stamp)


def verify_part(folder: str | Path) -> bool:
    """Whether the arrays of a part still have the content its stamp names; reads all its bytes."""
    part = _open_part(Path(folder))
    hashes = [*_chunk_hashes(Path(folder), part.arrays, part.rows, part.chunk_rows)]
    return _hash_part(part.rows, hashes) == part.stamp.id


class _Part(NamedTuple):
    stamp: Stamp
    rows: PartRange
    chunk_rows: int
    excluded: list[tuple[int, str]]
    arrays: dict[str, Any]
    layouts: dict[str, Layout]


def _open_part(folder: Path, kind: str = "") -> _Part:
    """A finished part, in which every chunk has a file of full size."""
    import zarr

    try:
        group: Any = zarr.open_group(folder, mode="r")
        attrs: dict[str, Any] = dict(group.attrs)
        stamp, rows = Stamp(**attrs[STAMP_KEY]), PartRange(*attrs["rows"])
        check_kind(folder, stamp, kind or stamp.kind, SCHEMA)
        arrays = {name: group[name] for name in attrs["arrays"]}
        for name, array in arrays.items():
            if lost := [i for i in range(array.cdata_shape[0]) if not _is_whole(folder, name, array, i)]:
                raise OSError(f"array '{name}' lacks bytes in {len(lost)} chunks, first in {lost[0]}")
        layouts = {name: Layout(tuple(a.shape[1:]), a.dtype.str) for name, a in arrays.items()}
        return _Part(stamp, rows, attrs["chunk_rows"], attrs["excluded"], arrays, layouts)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise unreadable(folder, kind or "part", error) from error


def _stored(name: str, array: np.ndarray, count: int, layout: Layout) -> np.ndarray:
    """The array in the dtype of its layout; what is lost is precision, never a value."""
    if np.shape(array) != (shape := (count, *layout.shape)):
        raise ValueError(f"{name}: the next chunk has the shape {shape}, got {np.shape(array)}")
    with np.errstate(over="ignore", invalid="ignore"):
        stored = np.asarray(array).astype(layout.dtype)
    if not (np.isfinite(stored) == np.isfinite(array) if stored.dtype.kind == "f" else stored == array).all():
        raise ValueError(f"{name}: {layout.dtype} cannot hold its values")
    return stored


def _is_whole(folder: Path, name: str, array: Any, chunk: int) -> bool:
    """Whether a chunk has its file with all its bytes: zarr would read a lost one as zeros."""
    file = folder.joinpath(name, "c", str(chunk), *["0"] * (array.ndim - 1))
    return file.is_file() and file.stat().st_size == math.prod(array.chunks) * array.dtype.itemsize


def _chunk_hashes(folder: Path, arrays: Mapping[str, Any], rows: PartRange, step: int) -> Iterator[str]:
    """The hash of every chunk as it is on disk; "" where one is not whole."""
    for i, start in enumerate(range(0, rows.stop - rows.start, step)):
        whole = all(_is_whole(folder, name, array, i) for name, array in arrays.items())
        chunk = slice(start, start + step)
        yield hash_arrays({n: np.asarray(a[chunk]) for n, a in arrays.items()}) if whole else ""


def _hash_part(rows: PartRange, chunk_hashes: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([f"{rows.start} {rows.stop}", *chunk_hashes]).encode()).hexdigest()
