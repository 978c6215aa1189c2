"""Names of classes: from names.csv, from WordNet (as timm ships it), or from the folders.

WordNet's names are a synset's lemmas: full name "tench, Tinca tinca", short name "tench" (the
text before the first comma). open_clip's own list of ImageNet names is not used: it was
disambiguated by hand, which would hide the failures that are looked for.
"""

import csv
import importlib.util
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from reliance.base.errors import RelianceError
from reliance.base.telling import tell
from reliance.images.names import ClassName, read_names

log = logging.getLogger(__name__)
WNID = re.compile(r"n\d{8}")


def class_table(
    folders: Sequence[str], names: Path | None, usual: Mapping[str, ClassName] | None = None
) -> pd.DataFrame:
    """Rows of `classes.parquet` for sorted class folders; class_id is the place in `folders`.

    names : a CSV with the columns folder, short_name, full_name and perhaps definition; without
    one, folders that are all WordNet ids get WordNet's names, others their own, with spaces for "_".
    Raises RelianceError for a malformed CSV or one that does not name every folder.
    """
    known = (usual or _default_names(folders)) if names is None else read_names(names)
    missing = [folder for folder in folders if folder not in known]
    if missing:
        raise RelianceError(
            names or "WordNet",
            "every class folder has a name",
            found=f"no name for {', '.join(missing[:5])} ({len(missing)} in all)",
            allowed="one row per class folder",
            next_step="name a CSV file as `names`, with `folder` exactly as on disk"
            + _changed(missing, known),
        )
    if names is not None and len(known) > len(folders):
        log.warning("%s: %d rows have no class folder", names, len(known) - len(folders))
    short_names = {folder: known[folder].short_name for folder in folders}
    _warn_of_namesakes(short_names)
    for folder, name in short_names.items():
        if name in short_names and name != folder and name != short_names[name]:
            tell(log, "class folder %s is called %s, which is the folder of another class", folder, name)
    rows = [(i, folder, *known[folder]) for i, folder in enumerate(folders)]
    return pd.DataFrame(rows, columns=["class_id", "folder", "short_name", "full_name", "definition"])


def _changed(folders: Sequence[str], known: Collection[str]) -> str:
    """What a spreadsheet or a person made of the names of folders, as a hint."""
    forms = {form: name for name in known for form in (name.strip().lstrip("0"), name.casefold())}
    like = [(f, forms[k]) for f in folders for k in (f.lstrip("0"), f.casefold()) if k and k in forms]
    if not like:
        return ""
    return f": {like[0][0]} is written {like[0][1]} there (spreadsheets drop zeros; columns must be text)"


def _warn_of_namesakes(short_names: Mapping[str, str]) -> None:
    """Classes of one name have one prompt: no short prompt tells their images apart."""
    folders: dict[str, list[str]] = {}
    for folder, name in short_names.items():
        folders.setdefault(name, []).append(folder)
    for name, shared in sorted(folders.items()):
        if len(shared) > 1:
            tell(log, "%d classes have the short name %r: %s", len(shared), name, ", ".join(shared[:5]))


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


def imagenet21k_words() -> list[str]:
    """Short names of the same synsets, each once: what comes before the first comma."""
    return list(dict.fromkeys(name.partition(",")[0].strip() for name in imagenet21k_names()))


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
