"""Folders of failure cases found elsewhere."""

import pandas as pd
import pytest

from reliance.base.errors import RelianceError
from reliance.images.cases import Case, ambiguous, list_cases, parse_case
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
        ("0_class_400_comp_7", Case(400, "7")),
        ("17_class_0_tench_comp_2", Case(0, "2")),
        ("spurious_class_400_academic_gown_comp_7", Case(400, "7")),
        ("class_400_7", Case(400, "7")),
        ("0_Class_400_comp_7", Case(400, "7")),
        ("400_classroom_7", Case(400, "7")),
        ("3_first_class_7", Case(3, "7")),
    ],
)
def test_parse_case(folder, case):
    assert parse_case(folder) == case


def classes(*ids, folders=None, short=None):
    names = folders or [f"n{i}" for i in ids]
    return pd.DataFrame({"class_id": ids, "folder": names, "short_name": short or names})


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("2_great_white_shark_class_7_comp_1", "2 and 7"),
        ("class_400_class_401_comp_7", "400 and 401"),
        ("0_class_400_of_class_7_comp_1", "7 and 400"),
    ],
)
def test_a_name_that_says_two_classes_is_refused(plant, folder, said):
    assert ambiguous(folder)
    with pytest.raises(RelianceError, match=said):
        list_cases(Scanner(plant("r", f"{folder}/x.jpg")), classes(2, 7, 400, 401))


@pytest.mark.parametrize("folder", ["0_class_400_comp_7", "2_shark_1", "2_class_2_comp_1", "2_first_class_1"])
def test_a_name_that_says_one(folder):
    assert not ambiguous(folder)


def test_a_number_that_another_class_is_called(plant):
    known = classes(0, 1, 2, folders=["1", "2", "3"], short=["tench", "shark", "ray"])
    with pytest.raises(RelianceError, match=r"1: the id of 2 \(shark, id 1\), but what 1 \(tench, id 0\)"):
        list_cases(Scanner(plant("r", "1_comp_7/x.jpg")), known)
    assert list_cases(Scanner(plant("s", "1_shark_7/x.jpg")), known)[0].class_id == 1


def test_groups_keep_their_class_and_folder(plant):
    root = plant("r", "2_shark_1/b.jpg", "2_shark_1/a.PNG", "2_shark_9/c.jpg", "0_tench_3/d.jpg")
    groups = list_cases(Scanner(root), classes(0, 2))
    assert [(g.split, g.folder, g.class_id, len(g.files)) for g in groups] == [
        ("cases", "0_tench_3", 0, 1),
        ("cases", "2_shark_1", 2, 2),
        ("cases", "2_shark_9", 2, 1),
    ]


@pytest.mark.parametrize(("path", "found"), [("notes/x.jpg", "notes"), ("7_kite_1/x.jpg", "class 7")])
def test_wrong_folders_are_named(plant, path, found):
    with pytest.raises(RelianceError, match=f"found:   {found}"):
        list_cases(Scanner(plant("r", path)), classes(0, 1))
