"""Whether two results folders hold the same values: what a change of the code alone must leave as it was.

    python benchmarks/same_results.py OLD NEW [--rtol 0] [--map 'PATTERN=REPLACEMENT' ...] [--only FOLDER ...]

Tables, tensors, arrays and JSON are compared by value, images and the CSV of a figure by bytes, captions and
pages as text, PDF and PNG of a figure by bytes. Stamps, ids, hashes and times are not looked at. Files that
moved are found by `MOVED`; a column, an array or a file that is only in NEW is said and accepted. Exit code 1
if a value of OLD is missing in NEW or differs by more than `--rtol`; words and drawings never fail.
"""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# Where NEW keeps what OLD had elsewhere: a pattern of paths of NEW, and the path of OLD it stands for.
MOVED = (
    (r"encoders/[^/]+/(?:\w+/)?([^/]+)/excluded\.parquet", r"datasets/\1/excluded.parquet"),
    (r"encoders/([^/]+)/(?:class_token|embedding)/(.+)", r"encoders/\1/\2"),
)
PASSED = {"logs", "benchmarks"}  # folders that say how long a run took
UNSTABLE = {"reliance", "checksum", "sha256", "versions", "id", "path", "fingerprint", "code"}  # keys of JSON
HASH, ABSOLUTE = re.compile(r"[0-9a-f]{40,64}"), re.compile(r"(/|[A-Z]:\\)")


class Found(NamedTuple):
    """One difference."""

    where: str  # path below OLD
    what: str
    fails: bool  # whether it is a value; words and drawings are not


class Gap(NamedTuple):
    """How far two arrays are from each other."""

    count: int  # values that differ
    absolute: float
    relative: float  # |old - new| / max(|old|, |new|)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print what differs, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rtol", type=float, default=0.0, help="largest relative difference; default: none")
    parser.add_argument("--map", action="append", default=[], metavar="PATTERN=REPLACEMENT", dest="moved")
    parser.add_argument("--only", action="append", default=[], help="a folder or pattern of OLD")
    chosen = parser.parse_args(arguments)
    for folder in (chosen.old, chosen.new):
        if not folder.is_dir():
            parser.error(f"no such folder: {folder}")
    moved = [*(tuple(rule.split("=", 1)) for rule in chosen.moved), *MOVED]
    compared, found = compare(chosen.old, chosen.new, chosen.rtol, moved, chosen.only)
    for item in found:
        sys.stdout.write(f"{'DIFFERS' if item.fails else 'note   '} {item.where}: {item.what}\n")
    bad = len({item.where for item in found if item.fails})
    sys.stdout.write(f"{compared} compared, {bad} differ in values, {len(found)} remarks\n")
    return 1 if bad or not compared else 0


def compare(
    old: Path, new: Path, rtol: float, moved: Sequence[tuple[str, str]], only: Sequence[str] = ()
) -> tuple[int, list[Found]]:
    """How many files and zarr groups were compared, and what differs."""
    before = {name: path for name, path in units(old) if wanted(name, only)}
    after: dict[str, list[Path]] = {}
    for name, path in units(new):
        at = name if name in before else came_from(name, moved)
        if wanted(at, only):
            after.setdefault(at, []).append(path)
    found = [Found(name, "only in OLD", is_value(name)) for name in before if name not in after]
    found += [Found(name, "only in NEW", False) for name in after if name not in before]
    common = [name for name in before if name in after]
    for name in common:
        for path in after[name]:
            found += [Found(name, *said) for said in differences(before[name], path, rtol)]
    return len(common), sorted(found)


def units(folder: Path) -> Iterator[tuple[str, Path]]:
    """(path below the folder, path) of everything that is compared as one: files, zarr groups as wholes."""
    waiting = [folder]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            name = path.relative_to(folder).as_posix()
            if path.name.startswith(".") or name in PASSED or name == "README.md":
                continue
            if path.is_dir() and path.suffix != ".zarr":
                waiting.append(path)
            elif not path.name.endswith(".meta.json"):
                yield name, path


def wanted(name: str, only: Sequence[str]) -> bool:
    """Whether a path lies in one of the folders, or fits one of the patterns, or there are none."""
    return not only or any(name.startswith(f"{o.rstrip('/')}/") or Path(name).match(o) for o in only)


def came_from(name: str, moved: Sequence[tuple[str, str]]) -> str:
    """The path of OLD that a path of NEW stands for."""
    for pattern, replacement in moved:
        if re.fullmatch(pattern, name):
            return re.sub(f"^{pattern}$", replacement, name)
    return name


def is_value(name: str) -> bool:
    """Whether a file holds values: not a drawing, a caption or a page."""
    return not (is_drawing(name) or Path(name).suffix in (".md", ".html"))


def is_drawing(name: str) -> bool:
    """Whether a file is a figure: images of a data set are values."""
    return Path(name).suffix in (".pdf", ".png") and "images" not in Path(name).parts


def differences(old: Path, new: Path, rtol: float) -> list[tuple[str, bool]]:
    """(what differs, whether it fails) between two units."""
    if old.is_file() and new.is_file() and old.read_bytes() == new.read_bytes():
        return []
    if is_drawing(old.as_posix()):
        return [("drawn differently (bytes)", False)]
    if old.suffix in (".md", ".html"):
        return _words(old, new)
    reader = READERS.get(old.suffix)
    if reader is None:
        return [("bytes differ", True)]
    said = list(_values(reader(old), reader(new), rtol))
    if old.suffix == ".csv" and not any(fails for _, fails in said):
        said.append(("bytes differ, though no value does", True))
    return said


def gap(old: np.ndarray, new: np.ndarray) -> Gap:
    """How far two arrays of numbers of one shape are from each other; nan equals nan."""
    a, b = (np.asarray(array, np.float64) for array in (old, new))
    apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not apart.any():
        return Gap(0, 0.0, 0.0)
    a, b = a[apart], b[apart]
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.abs(a - b)
        relative = absolute / np.maximum(np.abs(a), np.abs(b))
    unknown = np.isnan(absolute) | np.isinf(absolute)  # a number here, none there
    return Gap(
        int(apart.sum()), _largest(absolute, unknown), _largest(np.where(unknown, np.inf, relative), unknown)
    )


def _values(old: Mapping[str, Any], new: Mapping[str, Any], rtol: float) -> Iterator[tuple[str, bool]]:
    """Compare named arrays, numbers or texts."""
    lost, added = ([n for n in a if n not in b] for a, b in ((old, new), (new, old)))
    for side, names, fails in (("OLD", lost, True), ("NEW", added, False)):
        if names:
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            yield f"only in {side}: {', '.join(names[:8])}{more}", fails
    common = [name for name in old if name in new]
    if common and _reordered({n: old[n] for n in common}, {n: new[n] for n in common}):
        yield "the same rows in another order", True
        return
    for name in common:
        a, b = np.asarray(old[name]), np.asarray(new[name])
        if a.shape != b.shape:
            yield f"{name}: shape {list(a.shape)} became {list(b.shape)}", True
        elif a.dtype.kind in "biuf" and b.dtype.kind in "biuf":
            if a.dtype != b.dtype:
                yield f"{name}: {a.dtype} became {b.dtype}", False
            if (apart := gap(a, b)).count:
                text = f"{apart.count} of {a.size} values differ, by at most {apart.absolute:.3g}"
                yield f"{name}: {text} ({apart.relative:.3g} relative)", apart.relative > rtol
        elif different := _unlike(a, b):
            yield f"{name}: {different}", True


def _unlike(old: np.ndarray, new: np.ndarray) -> str:
    pairs = list(zip(old.reshape(-1).tolist(), new.reshape(-1).tolist(), strict=True))
    apart = [(a, b) for a, b in pairs if not _equal(a, b)]
    said = f"{len(apart)} of {len(pairs)} differ"
    return f"{said}, first {apart[0][0]!r} became {apart[0][1]!r}" if apart else ""


def _equal(a: Any, b: Any) -> bool:
    """Whether two cells of a table are the same, missing ones and lists (as arrays) included."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return bool(a == b or (pd.isna(a) and pd.isna(b)))


def _reordered(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two tables have the same rows in another order."""
    columns = [np.asarray(value) for value in (*old.values(), *new.values())]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1 or len(columns[0]) < 2:
        return False
    a, b = (pd.DataFrame({k: list(v) for k, v in table.items()}).astype(str) for table in (old, new))
    if a.equals(b):
        return False
    names = list(a.columns)
    a, b = (frame.sort_values(names).reset_index(drop=True) for frame in (a, b))
    return bool(a.equals(b))


def _words(old: Path, new: Path) -> list[tuple[str, bool]]:
    a, b = (path.read_text(encoding="utf-8").splitlines() for path in (old, new))
    if old.suffix == ".html":
        return [("the page differs", False)] if a != b else []
    changed = [line for line in difflib.ndiff(a, b) if line[0] in "-+"]
    return [("words differ:\n    " + "\n    ".join(changed), False)] if changed else []


def _largest(values: np.ndarray, unknown: np.ndarray) -> float:
    return float("inf") if unknown.any() else float(values.max())


def _table(path: Path) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {name: _column(table[name]) for name in table.column_names}


def _column(column: Any) -> np.ndarray:
    if str(column.type).startswith("fixed_size_list"):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(column), -1)
    return np.asarray(column.to_pandas())


def _text_table(separator: str) -> Callable[[Path], dict[str, np.ndarray]]:
    def read(path: Path) -> dict[str, np.ndarray]:
        frame = pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""])
        return {str(name): frame[name].to_numpy() for name in frame.columns}

    return read


def _tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return dict(load_file(path))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    import zarr

    return {name: np.asarray(array[:]) for name, array in zarr.open_group(path, mode="r").arrays()}


def _json(path: Path) -> dict[str, Any]:
    """Leaves of a JSON file by their places, without stamps, hashes and paths of machines."""
    leaves: dict[str, Any] = {}

    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for key in value:
                if key not in UNSTABLE:
                    walk(value[key], f"{place}.{key}" if place else key)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                walk(item, f"{place}[{i}]")
        elif not (isinstance(value, str) and (HASH.fullmatch(value) or ABSOLUTE.match(value))):
            leaves[place] = value

    walk(json.loads(path.read_text(encoding="utf-8")), "")
    return leaves


READERS: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    ".parquet": _table,
    ".tsv": _text_table("\t"),
    ".csv": _text_table(","),
    ".json": _json,
    ".safetensors": _tensors,
    ".zarr": _arrays,
}

if __name__ == "__main__":
    sys.exit(main())
