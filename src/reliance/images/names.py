"""Files of names that people write: names.csv (of classes) and vocabularies (one name per line).

Neither pandas nor torch is imported, so that a mistake is told before any job exists.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.base.text import ONE_LINE, unfit

REQUIRED = ("folder", "short_name", "full_name")
OPTIONAL = ("definition",)


class ClassName(NamedTuple):
    """What a class is called."""

    short_name: str
    full_name: str
    definition: str = ""


def read_names(path: Path) -> dict[str, ClassName]:
    """Folder -> name from a CSV in UTF-8 (names.csv). Raises RelianceError naming line and column."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            _check_header(path, header)
            names: dict[str, ClassName] = {}
            for row in reader:
                if row:
                    _add_row(names, path, reader.line_num, header, row)
    except (OSError, ValueError, csv.Error) as error:
        raise RelianceError(
            path,
            "the names of classes are read from a CSV file in UTF-8",
            found=f"{type(error).__name__}: {error}",
            allowed=f"a heading {','.join(REQUIRED)} and one row per class folder",
            next_step="correct the path `names`, or save the file as CSV in UTF-8",
        ) from error
    return names


def read_lines(path: Path) -> list[str]:
    """Names of a vocabulary, one per line, each once, without blank lines. Raises RelianceError."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except (OSError, ValueError) as error:
        raise _not_a_vocabulary(path, f"{type(error).__name__}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if problem := unfit(line.replace("\t", " ")):
            raise _not_a_vocabulary(f"{path}, line {number}", f"{problem}: {line}")
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise _not_a_vocabulary(path, "no name in it")
    return names


def _not_a_vocabulary(where: object, found: str) -> RelianceError:
    return RelianceError(
        where,
        "a vocabulary is a text file in UTF-8 with one name per line",
        found=found,
        allowed=f"at least one name, each {ONE_LINE}",
        next_step="correct the path or this line, save the file in UTF-8, or take `classes` or `imagenet21k`",
    )


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    strange = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    twice = sorted({name for name in header if header.count(name) > 1})
    if missing or strange or twice:
        problems = (("without", missing), ("unknown", strange), ("twice", twice))
        raise RelianceError(
            f"{path}, line 1",
            "the first line of a names file names its columns",
            found="; ".join(f"{what} {', '.join(names)}" for what, names in problems if names),
            allowed=f"{', '.join(REQUIRED)}, and perhaps {', '.join(OPTIONAL)}, separated by commas",
            next_step="correct the first line (a file with semicolons must be saved with commas)",
        )


def _add_row(names: dict[str, ClassName], path: Path, line: int, header: list[str], row: list[str]) -> None:
    if len(row) != len(header):
        raise _bad_row(path, line, "all columns", f"{len(row)} values", f"{len(header)} values")
    values = {name: value.strip() for name, value in zip(header, row, strict=True)}
    for name, value in values.items():
        if name in REQUIRED and not value:
            raise _bad_row(path, line, name, "nothing", "some text")
        if problem := unfit(value):
            raise _bad_row(path, line, name, f"{problem}: {value}", ONE_LINE)
    folder = values["folder"]
    if folder in names:
        raise _bad_row(path, line, "folder", f"{folder} for the second time", "each folder once")
    names[folder] = ClassName(values["short_name"], values["full_name"], values.get("definition", ""))


def _bad_row(path: Path, line: int, column: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        f"{path}, line {line}, column {column}",
        "every row of a names file gives a class folder its names",
        found=found,
        allowed=allowed,
        next_step='correct the line; a name with a comma needs quotes: "tench, Tinca tinca"',
    )
