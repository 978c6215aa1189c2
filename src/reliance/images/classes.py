"""Names of classes: from names.csv, from WordNet (as timm ships it), or from the folders.

WordNet's names are a synset's lemmas: full name "tench, Tinca tinca", short name "tench" (the
text before the first comma). open_clip's own list of ImageNet names is not used: it was
disambiguated by hand, which would hide the failures that are looked for.
"""

import csv
import importlib.util
import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reliance.errors import RelianceError

log = logging.getLogger(__name__)
REQUIRED = ("folder", "short_name", "full_name")
OPTIONAL = ("definition",)
WNID = re.compile(r"n\d{8}")


class ClassName(NamedTuple):
    """What a class is called."""

    short_name: str
    full_name: str
    definition: str = ""


def class_table(folders: Sequence[str], names: Path | None) -> pd.DataFrame:
    """Rows of `classes.parquet` for sorted class folders; class_id is the place in `folders`.

    names : a CSV with the columns folder, short_name, full_name and perhaps definition; without
    one, folders that are all WordNet ids get WordNet's names, others their own, with spaces for "_".
    Raises RelianceError for a malformed CSV or one that does not name every folder.
    """
    known = _default_names(folders) if names is None else read_names(names)
    missing = [folder for folder in folders if folder not in known]
    if missing:
        raise RelianceError(
            names or "WordNet",
            "every class folder has a name",
            found=f"no name for {', '.join(missing[:5])} ({len(missing)} in all)",
            allowed="one row per class folder",
            next_step="name a CSV file as `names`, with `folder` exactly as on disk",
        )
    if names is not None and len(known) > len(folders):
        log.warning("%s: %d rows have no class folder", names, len(known) - len(folders))
    rows = [(i, folder, *known[folder]) for i, folder in enumerate(folders)]
    return pd.DataFrame(rows, columns=["class_id", "folder", "short_name", "full_name", "definition"])


def read_names(path: Path) -> dict[str, ClassName]:
    """Folder -> name from a CSV in UTF-8. Raises RelianceError naming line and column."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            _check_header(path, header)
            names: dict[str, ClassName] = {}
            for row in reader:
                if row:
                    _add_row(names, path, reader.line_num, header, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RelianceError(
            path,
            "the names of classes are read from a CSV file in UTF-8",
            found=f"{type(error).__name__}: {error}",
            allowed=f"a heading {','.join(REQUIRED)} and one row per class folder",
            next_step="correct the path `names`, or save the file as CSV in UTF-8",
        ) from error
    return names


def wordnet_names() -> dict[str, ClassName]:
    """WordNet id -> name of all 21,843 synsets of ImageNet-21k, from the files timm ships."""
    lemmas = _timm_table("imagenet_synset_to_lemma.txt")
    definitions = _timm_table("imagenet_synset_to_definition.txt")
    return {
        wnid: ClassName(lemma.partition(",")[0].strip(), lemma, definitions.get(wnid, ""))
        for wnid, lemma in lemmas.items()
    }


def imagenet21k_names() -> list[str]:
    """Full names of ImageNet-21k's 21,843 synsets, in the order of their ids."""
    lemmas = _timm_table("imagenet_synset_to_lemma.txt")
    synsets = (_timm_folder() / "imagenet21k_goog_synsets.txt").read_text(encoding="utf-8").split()
    return [lemmas[wnid] for wnid in synsets]


@lru_cache
def _timm_table(name: str) -> dict[str, str]:
    text = (_timm_folder() / name).read_text(encoding="utf-8")
    return {row[0]: row[1] for row in csv.reader(text.splitlines(), delimiter="\t")}


def _timm_folder() -> Path:
    """Where timm keeps its label files; importing timm would import torch."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("timm is a dependency of reliance and is not installed")
    return Path(spec.origin).parent / "data" / "_info"


def _default_names(folders: Sequence[str]) -> dict[str, ClassName]:
    """WordNet's names if every folder looks like a WordNet id, else the folders' own."""
    if folders and all(WNID.fullmatch(folder) for folder in folders):
        return wordnet_names()
    spaced = {folder: folder.replace("_", " ").strip() or folder for folder in folders}
    return {folder: ClassName(name, name) for folder, name in spaced.items()}


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
    for name in REQUIRED:
        if not values[name]:
            raise _bad_row(path, line, name, "nothing", "some text")
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
