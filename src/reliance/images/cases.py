"""Layout `cases`: failure cases found elsewhere, `<root>/<class id>..._<component>/*.jpg`.

The class id is the number the folder name starts with, the component what follows its last
underscore: `2_great_white_shark_comp_1` is component "1" of class 2.
"""

import re
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.images.scan import Scanner
from reliance.images.shapes import Group

FOLDER = re.compile(r"(?P<class_id>\d{1,9})(?:\D.*)?_(?P<component>[^_]+)")


class Case(NamedTuple):
    """What the name of a case's folder says."""

    class_id: int
    component: str


def parse_case(folder: str) -> Case | None:
    """Class and component of a case's folder, or None if it is not named like one."""
    match = FOLDER.fullmatch(folder)
    return Case(int(match["class_id"]), match["component"]) if match else None


def list_cases(scanner: Scanner, class_ids: set[int]) -> list[Group]:
    """One group per case, all in the split "cases".

    Raises RelianceError for a folder that is not named like a case or names a class that is not
    in `class_ids`.
    """
    groups = []
    for folder in scanner.folders():
        case = parse_case(folder)
        if case is None or case.class_id not in class_ids:
            raise RelianceError(
                f"{scanner.where}/{folder}",
                "the folder of a failure case is named <class id>..._<component>",
                found=folder if case is None else f"class {case.class_id}, which the data set does not have",
                allowed=f"class ids {min(class_ids, default=0)} to {max(class_ids, default=0)}, "
                "for example 2_great_white_shark_1",
                next_step="rename the folder, move it away, or correct the list's `dataset`",
            )
        files = scanner.images(folder)
        if files:
            groups.append(Group("cases", folder, files, case.class_id))
        else:
            scanner.say(f"the folder {folder} of a case has no images and is ignored")
    return groups
