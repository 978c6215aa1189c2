"""Layout `cases`: failure cases found elsewhere, a folder of images per case that names class and component.

| name of the folder | class | component |
|---|---|---|
| `..._class_400_..._7` (Spurious ImageNet) | the number behind "class" | what follows the last `_` |
| `2_great_white_shark_comp_1` | the number that the name starts with | the same |

Source of the first: dataset/spurious_dataset.py of github.com/YanNeu/spurious_imagenet, which takes the third
word of 0_class_400_..._7. A name that says two classes is refused.
"""

import re
from typing import NamedTuple

import pandas as pd

from reliance.base.errors import RelianceError
from reliance.images.lookup import also_called, listed
from reliance.images.scan import Scanner
from reliance.images.shapes import Group

PUBLISHED = re.compile(r"(?:.*_)?class_(?P<class_id>[0-9]{1,9})(?:_.*)?_(?P<component>[^_]+)", re.IGNORECASE)
FOLDER = re.compile(r"(?P<class_id>[0-9]{1,9})(?:\D.*)?_(?P<component>[^_]+)")


class Case(NamedTuple):
    """What the name of a case's folder says."""

    class_id: int
    component: str


def parse_case(folder: str) -> Case | None:
    """Class and component of a case's folder, or None if it is not named like one.

    The published form is read first: 0_class_400_comp_7 is of class 400.
    """
    match = PUBLISHED.fullmatch(folder) or FOLDER.fullmatch(folder)
    return Case(int(match["class_id"]), match["component"]) if match else None


def list_cases(scanner: Scanner, classes: pd.DataFrame) -> list[Group]:
    """One group per case, all in the split "cases".

    classes : rows of CLASSES that the cases are of.
    Raises RelianceError for a folder that is not named like a case, names a class that there is not, or
    a number that is the id of one class and the name of another.
    """
    class_ids = set(classes["class_id"].tolist())
    groups = []
    for folder in scanner.folders():
        case = parse_case(folder)
        if several := ambiguous(folder):
            raise _two_classes(scanner, folder, several)
        if case is None or case.class_id not in class_ids:
            raise RelianceError(
                f"{scanner.where}/{folder}",
                "the folder of a failure case is named <class id>..._<component> or "
                "..._class_<class id>_..._<component>",
                found=folder if case is None else f"class {case.class_id}, which the data set does not have",
                allowed=f"class ids {min(class_ids, default=0)} to {max(class_ids, default=0)}, "
                "for example 2_great_white_shark_1",
                next_step="rename the folder, move it away, or correct the list's `dataset`",
            )
        _check_which(scanner, folder, case, classes)
        files = scanner.images(folder)
        if files:
            groups.append(Group("cases", folder, files, case.class_id))
        else:
            scanner.say(f"the folder {folder} of a case has no images and is ignored")
    return groups


def ambiguous(folder: str) -> list[int]:
    """The classes that a folder's name says, if several; one right before "class" counts cases."""
    said = {int(number) for number in re.findall(r"(?:^|_)class_([0-9]{1,9})(?=_)", folder, re.IGNORECASE)}
    first = re.match(r"([0-9]{1,9})_(?!class_)", folder, re.IGNORECASE)
    said |= {int(first[1])} if first and said else set()
    return sorted(said) if len(said) > 1 else []


def _check_which(scanner: Scanner, folder: str, case: Case, classes: pd.DataFrame) -> None:
    """Raise RelianceError if the number in a folder's name is what another class is called.

    It is an id if the name has a word of the class of that id, too.
    """
    others = also_called(classes, case.class_id)
    own = classes[classes["class_id"] == case.class_id]
    words = {str(name).replace(" ", "_").casefold() for name in (*own["folder"], *own["short_name"])}
    said = folder.replace(" ", "_").casefold()
    if len(others) and not any(word and not word.isdecimal() and word in said for word in words):
        raise RelianceError(
            f"{scanner.where}/{folder}",
            "the number in the name of a case's folder is the id of one class",
            found=f"{case.class_id}: the id of {listed(own)}, but what {listed(others, 3)} can be called",
            allowed="a data set in which no class is called by the id of another",
            next_step="give the classes names that are no numbers, or list the cases in tables",
        )


def _two_classes(scanner: Scanner, folder: str, several: list[int]) -> RelianceError:
    return RelianceError(
        f"{scanner.where}/{folder}",
        "the name of a case's folder names one class",
        found=f"{folder}: {' and '.join(map(str, several))}",
        allowed="..._class_400_..._7, or 400_..._7",
        next_step="rename the folder",
    )
