"""Where a page comes from: ids of artifacts, versions of software, times of jobs."""

import importlib.metadata
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from reliance.base.commands import configured
from reliance.base.errors import RelianceError, make_again
from reliance.base.stamps import read_stamp
from reliance.explore.tables import Tables
from reliance.figures.table import BY_NAME
from reliance.report.markup import Grid

PACKAGES = (
    "reliance",
    "snakemake",
    "torch",
    "open_clip_torch",
    "numpy",
    "zarr",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "matplotlib",
)


def commands(command: str, variant: str) -> dict[str, str]:
    """The command that built the page, and the one for its atlas as configured."""
    atlas = f"snakemake --cores 2 results/{variant}/atlas/index.html {configured(command)}".rstrip()
    return {
        "command": command or f"snakemake --cores 2 results/{variant}/report.html",
        "atlas_command": atlas,
    }


def artifacts(paths: Sequence[Path]) -> Grid:
    """Path, kind and id of the artifacts a page was made from.

    Raises RelianceError for a file without a stamp.
    """
    stamps = [(path, read_stamp(path)) for path in paths]
    rows = [[str(path), f"{stamp.kind} (schema {stamp.schema})", stamp.id] for path, stamp in stamps]
    return Grid(["artifact", "kind", "id (SHA-256)"], rows)


def versions() -> Grid:
    """Python and the packages that results depend on."""
    rows = [["python", ".".join(map(str, sys.version_info[:3]))]]
    for name in PACKAGES:
        try:
            rows.append([name, importlib.metadata.version(name)])
        except importlib.metadata.PackageNotFoundError:
            rows.append([name, "run from its folder" if name == "reliance" else "not installed"])
    return Grid(["package", "version"], rows)


def times(folder: Path, owners: Sequence[str]) -> Grid:
    """Wall time and memory of the last run of every job of some variants, encoders and data sets.

    folder : the benchmark files of Snakemake, <rule>/<owner>[.<more>].tsv. Jobs without one are left out,
    and so are those of comparisons, and of rehearsals (<owner>.n20) unless they are an owner.
    """
    own = re.compile(rf"({'|'.join(map(re.escape, owners))})(\.(?!n\d+(\.|$)).*)?")
    rows = []
    for path in sorted(folder.glob("*/*.tsv")):
        if own.fullmatch(path.stem) and not path.parent.name.startswith("compare_"):
            header, values = (line.split("\t") for line in path.read_text().splitlines()[:2])
            found = dict(zip(header, values, strict=False))
            rows.append([path.parent.name, path.stem, found.get("s", ""), found.get("max_pss", "")])
    return Grid(["rule", "job", "wall time (s)", "memory (PSS, MB)"], rows)


def settings_rows(settings: object, prefix: str = "") -> list[list[str]]:
    """A nested configuration as rows of key and value."""
    if isinstance(settings, dict) and settings:
        pairs = [(f"{prefix}.{key}" if prefix else str(key), value) for key, value in settings.items()]
        return [row for key, value in pairs for row in settings_rows(value, key)]
    return [[prefix, json.dumps(settings, ensure_ascii=False)]]


def check_figures(study: Tables, figures: Sequence[Path]) -> None:
    """Raise RelianceError if a figure was drawn from another table than the page's."""
    for figure in figures:
        if not study.has(name := BY_NAME[figure.stem].shows):
            continue
        table, inputs = study.path(name), read_stamp(figure).inputs
        if (expected := read_stamp(table).id) not in inputs.values():
            raise RelianceError(
                figure,
                f"a figure of the page shows the page's own numbers, of {table}",
                found="it was drawn from another table",
                allowed=f"a figure made from {expected[:12]}",
                next_step=f"it was copied from another run or is older: {make_again(figure)}",
            )
