"""Which class of a data set somebody means: by its folder, its short name or its id, and never by a guess.

YAML turns 010 into 8 and yes into true, and folders called 1 to 4 have the ids 0 to 3: a number that could
be two classes is refused.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reliance.base.errors import RelianceError
from reliance.base.text import refuse_truth


def class_ids(path: Path, classes: pd.DataFrame, given: Sequence[str | int], where: str) -> set[int]:
    """Ids of the classes that `given` names.

    path, classes : rows of CLASSES, and where they were read. where : the key that names the classes.
    A number is an id. A text is a folder or a short name, and an id if no class is called so (the command
    line hands numbers over as texts). Raises RelianceError for an entry that is no class, or can be several.
    """
    return {_class_id(path, classes, entry, where) for entry in given}


def also_called(classes: pd.DataFrame, number: int) -> pd.DataFrame:
    """Classes of another id whose folder or short name can be read as this number."""
    named = [
        number in _readings(str(folder)) | _readings(str(name))
        for folder, name in zip(classes["folder"], classes["short_name"], strict=True)
    ]
    return classes[pd.Series(named, index=classes.index, dtype=bool) & (classes["class_id"] != number)]


def listed(classes: pd.DataFrame, limit: int = 6) -> str:
    """Classes with all that they can be called."""
    shown = classes.head(limit)
    rows = zip(shown["folder"], shown["short_name"], shown["class_id"], strict=True)
    words = ", ".join(f"{folder} ({name}, id {i})" for folder, name, i in rows)
    return f"{words}, ... ({len(classes)} in all)" if len(classes) > limit else words


def _class_id(path: Path, classes: pd.DataFrame, entry: str | int, where: str) -> int:
    rule = f"an entry is one class of {path}"
    try:
        refuse_truth(entry)
    except ValueError as error:
        raise _refused(where, rule, entry, str(error), "quote the name, or take the id") from None
    called = classes[(classes["folder"] == entry) | (classes["short_name"] == entry)]
    if isinstance(entry, str) and len(called):
        hits, others = called, classes[:0]
    else:
        hits, others = classes[classes["class_id"].astype(str) == str(entry)], _others(classes, entry)
    if len(others):
        raise _ambiguous(where, rule, entry, hits, others)
    if len(hits) > 1:
        found, step = (
            f"{entry}, which {len(hits)} classes are called",
            "name the folders of the classes you mean",
        )
        raise _refused(where, rule, found, f"their folders: {listed(hits)}", f"{step}, or their ids")
    if hits.empty:
        examples = ", ".join(map(str, classes["short_name"].head(8)))
        raise _refused(
            where,
            f"it names classes that {path} has",
            entry,
            f"short names, folders or ids, such as {examples}",
            "correct the name; the table of classes lists all",
        )
    return int(hits["class_id"].iloc[0])


def _ambiguous(
    where: str, rule: str, entry: str | int, hits: pd.DataFrame, others: pd.DataFrame
) -> RelianceError:
    """The error for a number that is an id, and what another class is called."""
    of_id = f"the id of {listed(hits, 1)}, but " if len(hits) else ""
    quoted = " or ".join(f'"{folder}"' for folder in [*hits["folder"], *others["folder"]][:4])
    return _refused(
        where,
        rule,
        f"{entry}: {of_id}what {listed(others, 3)} can be called",
        "the folder of the class in quotes, which YAML does not read as a number",
        f"write {quoted}, whichever you mean",
    )


def _others(classes: pd.DataFrame, entry: str | int) -> pd.DataFrame:
    """Classes that a number, as YAML or the command line gives it, can be beside the one of that id."""
    text = str(entry)
    return (
        also_called(classes, int(text))
        if text.isascii() and text.isdecimal() and len(text) < 10
        else classes[:0]
    )


def _readings(text: str) -> set[int]:
    """The numbers that a text can be for YAML: decimal, octal (010 is 8), or with underscores."""
    digits = text.replace("_", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):
        return set()
    octal = digits.startswith("0") and not set(digits) & {"8", "9"}
    return {int(digits)} | ({int(digits, 8)} if octal else set())


def _refused(where: str, rule: str, found: object, allowed: str, step: str) -> RelianceError:
    return RelianceError(where, rule, found=found, allowed=allowed, next_step=step)
