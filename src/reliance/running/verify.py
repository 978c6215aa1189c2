"""Checks the artifacts of a variant, and all they were made from, against their checksums.

Every artifact names the ids of its inputs; what belongs to a variant is found by following them.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from reliance.base.artifacts import (
    Stamp,
    derived_stamp,
    hash_arrays,
    hash_file,
    read_json,
    unreadable,
)
from reliance.base.commands import build
from reliance.base.errors import RESULTS, RelianceError, make_again
from reliance.base.rows import Parts, verify_part
from reliance.base.stamps import META, STAMPED, read_stamp
from reliance.config.mistakes import nearest

SHARED = ("benchmarks", "compare", "datasets", "encoders", "logs")  # folders of results that are no variant
TEXTS = (".json", ".tsv")  # small files that others may name by the hash of their bytes
HASHED = ("sae", "probe", "audit_probe", "clip")  # safetensors whose id is the hash of their tensors


class Outcome(NamedTuple):
    """What was found about the artifacts of a variant."""

    checked: list[Path]
    broken: list[RelianceError]
    orphans: list[tuple[Path, str]]  # artifacts, and the name of an input that is nowhere

    @property
    def stale(self) -> list[Path]:
        """Artifacts that are whole, and made from what is not there any more."""
        return sorted({path for path, _ in self.orphans})

    def notes(self, most: int = 3) -> list[str]:
        """A line for each input that is nowhere, with what was made from it."""
        made: dict[str, list[str]] = {}
        for path, name in self.orphans:
            made.setdefault(name, []).append(str(path))
        return [
            f"{name} is not here any more, or was rebuilt since: {', '.join(files[:most])}"
            + (f" and {len(files) - most} more were made from it" if len(files) > most else " made from it")
            for name, files in made.items()
        ]

    def verdict(self) -> str:
        """The outcome in a few words."""
        if self.broken:
            return f"{len(self.broken)} broken"
        if not self.orphans:
            return "all whole"
        page = ", report.html among them" if any(p.name == "report.html" for p in self.stale) else ""
        return f"whole, but {len(self.stale)} out of date{page}"


def verify(results: Path, variant: str) -> Outcome:
    """Check every artifact below results/{variant} and everything it was made from, reading all bytes.

    Raises RelianceError if there is no such folder.
    """
    home = results / variant
    if not home.is_dir():
        variants = [p.name for p in sorted(results.glob("*")) if p.is_dir() and p.name not in SHARED]
        raise RelianceError(
            home,
            "there must be something to verify",
            found="no such folder",
            allowed=", ".join(variants) or "a built variant",
            next_step=nearest(variant, variants)
            or f"build it first: {build(f'results/{variant}/report.html')}, and its --configfile",
        )
    stamps, broken = {}, []
    for path in artifacts(results):
        try:
            stamps[path] = read_stamp(path)
        except RelianceError as error:
            broken.append((path, error))
    made = {hash_file(path): path for path in stamps if path.suffix in TEXTS and path.exists()}
    made |= {stamp.id: path for path, stamp in stamps.items()}
    checked = reachable([p for p in stamps if home in p.parents], stamps, made)
    errors = [error for path, error in broken if home in path.parents]
    errors += [found for path in checked if (found := problem(path, stamps[path]))]
    orphans = [
        (p, name)
        for p in checked
        for name, key in stamps[p].inputs.items()
        if key not in made or _gone(results, name)
    ]
    return Outcome(checked, errors, orphans)


def _gone(results: Path, name: str) -> bool:
    """Whether an input that is named by its path is not there; another file may have the same content."""
    first, _, rest = name.partition("/")
    return first == RESULTS and bool(rest) and not (results / rest).exists()


def artifacts(folder: Path) -> Iterator[Path]:
    """Files with a stamp: tables, tensors, JSON, and whatever has a `.meta.json` beside it."""
    for path in sorted(folder.rglob("*")):
        hidden = any(
            part.startswith(".") or part.endswith(".zarr") for part in path.relative_to(folder).parts
        )
        if hidden:
            continue
        if path.name.endswith(META):
            owner = path.with_name(path.name.removesuffix(META))
            if not owner.exists():
                yield owner
        elif path.suffix in STAMPED or Path(f"{path}{META}").exists():
            yield path


def reachable(start: Iterable[Path], stamps: dict[Path, Stamp], made: dict[str, Path]) -> list[Path]:
    """The artifacts themselves and all they were made from, directly or not."""
    found, waiting = set(), list(start)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [made[key] for key in stamps[path].inputs.values() if key in made]
    return sorted(found)


def problem(path: Path, stamp: Stamp) -> RelianceError | None:
    """What is wrong with an artifact, if anything."""
    try:
        CHECKS.get(path.suffix if path.name != "manifest.json" else path.name, _check_beside)(path, stamp)
    except RelianceError as error:
        return error
    return None


def _check_table(path: Path, stamp: Stamp) -> None:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, stamp.kind, error) from error
    _same(path, "its id follows from its params and inputs", _derived(stamp), stamp.id)


def _check_tensors(path: Path, stamp: Stamp) -> None:
    try:
        with safe_open(path, framework="numpy") as file:
            content = hash_arrays({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise unreadable(path, stamp.kind, error) from error
    expected = stamp.id if stamp.kind in HASHED else stamp.params.get("content", "")
    _same(path, "its tensors are those its stamp names", content, expected)


def _check_json(path: Path, stamp: Stamp) -> None:
    read_json(path, stamp.kind, stamp.schema)
    _same(path, "its id follows from its params and inputs", _derived(stamp), stamp.id)


def _check_manifest(path: Path, stamp: Stamp) -> None:
    record, _ = read_json(path, stamp.kind, stamp.schema)
    Parts(path, stamp.kind)  # opens every part, and compares it with what the manifest names
    for folder in (path.parent / part["name"] for part in record["parts"]):
        _same(folder, "its arrays are those its stamp names", verify_part(folder), True)


def _check_beside(path: Path, stamp: Stamp) -> None:
    if not path.exists():
        raise unreadable(path, stamp.kind, FileNotFoundError(path))
    record = json.loads(Path(f"{path}{META}").read_text(encoding="utf-8"))
    _same(
        path, f"its bytes are those {path.name}{META} was written for", hash_file(path), record.get("sha256")
    )


def _derived(stamp: Stamp) -> str:
    return derived_stamp(stamp.kind, stamp.schema, stamp.params, stamp.inputs).id


def _same(path: Path, rule: str, found: object, expected: object) -> None:
    if found != expected:
        raise RelianceError(
            path,
            rule,
            found=f"{found}"[:12],
            allowed=f"{expected}"[:12],
            next_step=f"it was changed or damaged: {make_again(path)}",
        )


CHECKS: dict[str, Callable[[Path, Stamp], None]] = {
    ".parquet": _check_table,
    ".safetensors": _check_tensors,
    ".json": _check_json,
    "manifest.json": _check_manifest,
}
