"""Stage `describe_variant`: what a variant has and where it lies, so that its folder can be opened."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliance.base.artifacts import derived_stamp, read_json, write_json
from reliance.base.commands import build
from reliance.base.errors import RelianceError

DESCRIPTION = "variant.json"
KIND, SCHEMA = "variant", 1


def describe_variant(
    *, description: Path, variant: str, files: Mapping[str, Any], about: Mapping[str, Any], options: str = ""
) -> None:
    """Write what a variant is and where its files lie, built or not.

    Parameters
    ----------
    description : output, `variant.json` in the folder of the variant, which lies in the folder of results.
    files : name -> path, or a mapping of paths by split, prompt set, ...; as the job sees them.
    about : what else is to be known, plain JSON values.
    options : the --configfile and --config that it was built with, for commands that build more of it.

    Paths below the folder of results are stored relative to it, so that the whole of it can be moved.
    """
    results = description.absolute().parent.parent
    known = {**about, **({"options": options} if options else {})}
    record = {"variant": variant, "files": _stored(files, results), "about": known}
    write_json(description, record, derived_stamp(KIND, SCHEMA, record, {}))


def read_description(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(variant, files with paths as seen from here, about) of the folder of a variant.

    Raises RelianceError if the folder holds no description, or a damaged one.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        described = sorted(found.parent.name for found in folder.parent.glob(f"*/{DESCRIPTION}"))
        raise RelianceError(
            folder,
            f"the folder of a variant holds {DESCRIPTION}, which says what the variant has",
            found="no such file" if folder.is_dir() else "no such folder",
            allowed=", ".join(described) or "a folder that the pipeline made, results/<variant>",
            next_step="`reliance variants` lists what was built; one of the configuration is written by "
            f"{build(f'results/{folder.name}/{DESCRIPTION}')} with the --configfile and --config of its run",
        )
    record, _ = read_json(path, KIND, SCHEMA)
    return record["variant"], _seen(record["files"], folder.parent), record["about"]


def options_of(folder: Path) -> str:
    """The --configfile and --config that a variant was described with; "" where that is not known."""
    try:
        return str(read_description(folder)[2].get("options", ""))
    except RelianceError:
        return ""


def _stored(value: Any, results: Path) -> Any:
    if isinstance(value, Mapping):
        return {key: _stored(inner, results) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(item, results) for item in value]
    path = Path(os.path.abspath(value))
    return path.relative_to(results).as_posix() if results in path.parents else str(path)


def _seen(value: Any, results: Path) -> Any:
    if isinstance(value, dict):
        return {key: _seen(inner, results) for key, inner in value.items()}
    return [_seen(item, results) for item in value] if isinstance(value, list) else results / value
