"""The list of failure cases: one table a person can read and edit, and the images of each case.

The miner writes it, lists found elsewhere come in it, the benchmark reads it. A list written by hand
has no stamp; it is then known by the hash of its content.

failures.tsv, one row per case:
  failure_id  unique in the list
  rank        1 is the strongest case of its class
  kind        polysemous, compound, typography, spurious, lookalike or other
  mode        how a planted case came about (caption, artefact), else empty
  class_id    the class whose prompt is fooled
  source      mined, planted, neuhaus or user
  component   latent that stands out; for lists from elsewhere whatever number they use
  score       mean relevance x flagged images (empty if not mined)
  q_value     false discovery rate (empty if not mined)
  reviewed    yes or no
  note        free text
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    TableSpec,
    content_stamp,
    hash_file,
    read_json,
    read_table,
    unreadable,
    write_meta,
)
from reliance.base.errors import RelianceError
from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.base.writing import atomic

KIND, SCHEMA = "failures", 2
CHANCE = 0.05  # the false discovery rate up to which a case is taken for a finding
SOURCES = ("mined", "planted", "neuhaus", "user")
MODES = ("", "caption", "artefact")
NOTE_LIMIT = 2000  # characters
ID_LIMIT = 100  # characters of a failure_id

FAILURE_SAMPLES = TableSpec(
    "failure_samples",
    1,
    (("failure_id", "string"), ("dataset", "string"), ("split", "string"), ("image_id", "int64")),
)

_WHOLE = re.compile(r"-?[0-9]{1,9}")
_SAMPLE_COLUMNS = [name for name, _ in FAILURE_SAMPLES.columns]


def one_of(*allowed: str) -> Callable[[str], str]:
    """A parser of cells that hold one of these words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(", ".join(name or "(empty)" for name in allowed))
        return text

    return parse


def short_text(limit: int, required: bool) -> Callable[[str], str]:
    """A parser of cells with any text up to `limit` characters."""

    def parse(text: str) -> str:
        if len(text) > limit or (required and not text):
            raise ValueError(f"{'1' if required else '0'} to {limit} characters")
        return text

    return parse


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("a whole number of at most 9 digits")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text) if text else 0.0
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError("a number that is finite, or nothing")
    return value if text else math.nan


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "failure_id": short_text(ID_LIMIT, required=True),
    "rank": _whole,
    "kind": one_of(*FAILURE_KINDS),
    "mode": one_of(*MODES),
    "class_id": _whole,
    "source": one_of(*SOURCES),
    "component": _whole,
    "score": _number,
    "q_value": _number,
    "reviewed": one_of("yes", "no"),
    "note": short_text(NOTE_LIMIT, required=False),
}
COLUMNS = tuple(_PARSERS)


def beyond_chance(frame: pd.DataFrame) -> pd.Series:
    """Which cases are no chance findings: a small false discovery rate, or reviewed by a person."""
    return (frame["q_value"] <= CHANCE) | (frame["reviewed"] == "yes")


def write_failures(path: str | Path, frame: pd.DataFrame, stamp: Stamp, **extra: Any) -> Stamp:
    """Write a list of cases (the columns above) and `<path>.meta.json` with its stamp and `extra`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in frame[list(COLUMNS)].itertuples(index=False, name=None):
        writer.writerow("" if pd.isna(value) else value for value in row)
    with atomic(path) as temporary:
        temporary.write_bytes(text.getvalue().encode())
    write_meta(path, stamp, **extra)
    return stamp


def read_failures(path: str | Path) -> tuple[pd.DataFrame, Stamp]:
    """Read a list of cases, written by the pipeline or by hand.

    Raises RelianceError, naming the line and column, for anything that is not such a list.
    """
    rows = read_tsv(path, _PARSERS)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    twice = frame["failure_id"][frame["failure_id"].duplicated()]
    if len(twice):
        raise RelianceError(
            path,
            "a failure_id is unique in its list",
            found=f"{twice.iloc[0]} more than once",
            allowed="one row per case",
            next_step="remove or rename the extra rows; the samples name cases by this id",
        )
    content = hash_file(Path(path))
    if not Path(f"{path}.meta.json").exists():
        return frame, content_stamp(KIND, SCHEMA, content, {}, {})
    record, stamp = read_json(f"{path}.meta.json", KIND, SCHEMA)
    if record.get("sha256") != content:
        raise RelianceError(
            path,
            "a list written by the pipeline is not edited in place",
            found="its content is not what its .meta.json was written for",
            allowed="the file as it was written",
            next_step="put kinds and notes into config/reviews/<variant>.tsv and run the target again; "
            "a list of your own goes elsewhere, without a .meta.json",
        )
    return frame, stamp


def read_samples(path: str | Path) -> tuple[pd.DataFrame, Stamp]:
    """Read the images of cases: the pipeline's own table, or any parquet with its four columns.

    Raises RelianceError if it cannot be read or lacks a column.
    """
    try:
        schema = pq.read_schema(path)
        if STAMP_KEY.encode() in (schema.metadata or {}):
            return read_table(path, FAILURE_SAMPLES)
        missing = [name for name in _SAMPLE_COLUMNS if name not in schema.names]
        frame = pd.DataFrame() if missing else pd.read_parquet(path, columns=_SAMPLE_COLUMNS)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, FAILURE_SAMPLES.kind, error) from error
    problem = f"without {', '.join(missing)}" if missing else _misfit(frame)
    if problem:
        raise RelianceError(
            path,
            "the images of cases are named by data set, split and image_id",
            found=problem,
            allowed=", ".join(f"{name} ({kind})" for name, kind in FAILURE_SAMPLES.columns),
            next_step="write the table with these columns; image_id is the row inside the split's index",
        )
    stamp = content_stamp(FAILURE_SAMPLES.kind, FAILURE_SAMPLES.version, hash_file(Path(path)), {}, {})
    return frame.astype({"image_id": np.int64}), stamp


def _misfit(frame: pd.DataFrame) -> str:
    """What is wrong with the cells of a table of samples, or nothing."""
    if frame.isna().to_numpy().any():
        return "empty cells"
    if not pd.api.types.is_integer_dtype(frame["image_id"]):
        return "fractions or text in image_id"
    words = [name for name in _SAMPLE_COLUMNS[:3] if not frame[name].map(lambda v: isinstance(v, str)).all()]
    return f"what is not text in {', '.join(words)}" if words else ""


def read_tsv(path: str | Path, parsers: Mapping[str, Callable[[str], object]]) -> list[dict[str, object]]:
    """Rows of a tab-separated file whose header has the names of `parsers`, each cell parsed.

    A parser raises ValueError with what is allowed. Other columns are ignored. Raises RelianceError.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", restval="", strict=True)
        lines = [(reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise RelianceError(
            path,
            "a list is a text file in UTF-8 with tabs between its cells",
            found=f"{type(error).__name__}: {error}",
            allowed=f"the columns {', '.join(parsers)}; a cell that starts with a quote ends with one",
            next_step="correct the path or the file; a quote that is never closed swallows all lines below",
        ) from error
    header = reader.fieldnames or []
    twice = [name for name in parsers if header.count(name) > 1]
    missing = [name for name in parsers if name not in header]
    if missing or twice:
        raise RelianceError(
            path,
            "the first line names the columns, separated by tabs",
            found=f"without {', '.join(missing)}" if missing else f"{', '.join(twice)} twice",
            allowed=f"{', '.join(parsers)}, each once",
            next_step="add the columns; an editor may have replaced tabs by blanks",
        )
    return [_parse(path, line, row, parsers) for line, row in lines]


def _parse(
    path: str | Path, line: int, row: Mapping[str, str], parsers: Mapping[str, Callable[[str], object]]
) -> dict[str, object]:
    parsed = {}
    for name, parser in parsers.items():
        try:
            parsed[name] = parser(row[name])
        except ValueError as error:
            raise RelianceError(
                f"{path}, line {line}, column {name}",
                "a cell has the form of its column",
                found=row[name],
                allowed=str(error),
                next_step="correct this cell; text with tabs or line breaks needs double quotes around it",
            ) from None
    return parsed
