"""Folders of failure cases found elsewhere."""

import pytest

from reliance.base.errors import RelianceError
from reliance.images.cases import Case, list_cases, parse_case
from reliance.images.scan import Scanner


@pytest.mark.parametrize(
    ("folder", "case"),
    [
        ("2_great_white_shark_comp_1", Case(2, "1")),
        ("0_7", Case(0, "7")),
        ("0012_red", Case(12, "red")),
        ("12 kite_3", Case(12, "3")),
        ("12", None),
        ("shark_1", None),
        ("12_", None),
    ],
)
def test_parse_case(folder, case):
    assert parse_case(folder) == case


def test_groups_keep_their_class_and_folder(plant):
    root = plant("r", "2_shark_1/b.jpg", "2_shark_1/a.PNG", "2_shark_9/c.jpg", "0_tench_3/d.jpg")
    groups = list_cases(Scanner(root), {0, 2})
    assert [(g.split, g.folder, g.class_id, len(g.files)) for g in groups] == [
        ("cases", "0_tench_3", 0, 1),
        ("cases", "2_shark_1", 2, 2),
        ("cases", "2_shark_9", 2, 1),
    ]


@pytest.mark.parametrize(("path", "found"), [("notes/x.jpg", "notes"), ("7_kite_1/x.jpg", "class 7")])
def test_wrong_folders_are_named(plant, path, found):
    with pytest.raises(RelianceError, match=f"found:   {found}"):
        list_cases(Scanner(plant("r", path)), {0, 1})
