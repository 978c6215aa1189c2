"""Shapes of folders that are mistakes: told with the likely cause, and never a class of that name."""

import os

import pytest

from reliance.base.errors import RelianceError
from reliance.images.folder import list_folder
from reliance.images.scan import Scanner
from reliance.images.shapes import split_of


def listed(root, split=None):
    scanner = Scanner(root)
    groups = list_folder(scanner, split)
    return {(g.split, g.folder) for g in groups if g.files}, scanner


def paths(*folders):
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(2)]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "valid"),
        ("train", "validation"),
        ("Training", "Testing"),
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("train_set", "test_set"),
        ("train-images", "test-images"),
        ("training", "evaluation"),
    ],
)
def test_splits_under_their_usual_names(plant, train, test, caplog):
    root = plant("r", *paths(f"{train}/cat", f"{train}/dog", f"{test}/cat", f"{test}/dog"))
    found, scanner = listed(root)
    assert found == {(s, c) for s in ("train", "test") for c in ("cat", "dog")}
    assert f"splits: {train} (to train on), {test} (to test on)" in caplog.text or not scanner.told
    assert bool(scanner.told) == bool({train, test} - {"train", "test", "val"})


@pytest.mark.parametrize(
    "name", ["cat", "trainer", "evaluator", "valley", "testudo", "data", "set", "images"]
)
def test_names_that_are_no_splits(name):
    assert split_of(name) is None


@pytest.mark.parametrize(
    ("folders", "found", "step"),
    [
        (
            ("train/train/cat", "train/train/dog", "test/test/cat", "test/test/dog"),
            "train/train",
            "up into train",
        ),
        (("train/train", "test/test"), "train/train: a split in the split train", "unzipped twice"),
        (("mydata/cat", "mydata/dog"), "cat, dog", "root at {root}/mydata"),
        (("mydata/train/cat", "mydata/test/cat"), "test, train", "root at {root}/mydata"),
        (("mydata/mydata/cat", "mydata/mydata/dog"), "cat, dog", "root at {root}/mydata/mydata"),
        (("mydata/n01440764", "mydata/n01484850"), "n01440764, n01484850", "root at {root}/mydata"),
        (("train/mydata/cat", "train/mydata/dog", "test/mydata/cat"), "cat, dog", "up into train"),
        (("a/airfield", "a/alley", "b/bar"), "airfield, alley", "a_airfield"),
        (("a/airfield", "b/bar"), "airfield", "a_airfield"),
        (("photo/cat", "photo/dog", "sketch/cat", "sketch/dog"), "cat, dog", "up into the root"),
        (("cat/train", "cat/test", "dog/train", "dog/test"), "test, train", "train/CLASS"),
        (("cat/images", "cat/masks", "dog/images", "dog/masks"), "masks, beside images", "masks or labels"),
        (("cat", "cat/Masks", "dog"), "folder Masks", "masks or labels"),
        (("images", "masks"), "images, masks", "root at {root}/images"),
        (("train/images", "train/labels", "test/images"), "images, labels", "up into train"),
        (("cat", "dog", "valid"), "valid, the name of a split, beside cat, dog", "rename this one"),
        (("cat", "dog", "Test"), "Test, the name of a split", "rename this one"),
        (("cat", "train/cat", "train/dog"), "train, the name of a split, beside cat", "rename this one"),
        (("train/cat", "train/test", "val/cat"), "a split in the split train", "up into train"),
        (("train/Cat", "train/dog", "test/cat", "test/dog"), "Cat and cat", "give both one name"),
        (("Cafe\u0301", "Caf\u00e9"), r"'Cafe\u0301' and 'Caf\xe9'", "give both one name"),
        (("STRASSE", "straße"), "STRASSE and straße", "give both one name"),
        (("train/cat", "training/cat", "test/cat"), "train and training", "into one"),
        (("train/cat", "val/cat", "valid/cat"), "val and valid", "into one"),
    ],
)
def test_shapes_that_are_mistakes(plant, folders, found, step):
    root = plant("r", *paths(*folders))
    with pytest.raises(RelianceError) as caught:
        listed(root)
    assert found in caught.value.found
    assert step.format(root=root) in caught.value.next_step


@pytest.mark.parametrize(
    "folders",
    [
        ("bus", "train"),
        ("train/bus", "train/train", "test/bus", "test/train"),
        ("cat/images", "dog/images"),
        ("cat/cat", "dog/dog"),
        ("mel/patient_01", "mel/patient_02", "nv/patient_03"),
        ("mel/2020-01-02", "mel/2021-03-04", "nv/2020-05-06"),
        ("cat", "cat/more/of/them", "dog"),
        ("a_b", "a b"),
    ],
)
def test_shapes_that_are_not(plant, folders):
    found, _ = listed(plant("r", *paths(*folders)))
    assert {folder for _, folder in found} == {
        folder.removeprefix("train/").removeprefix("test/").split("/")[0] for folder in folders
    }


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found", ".Trashes"],
)
@pytest.mark.parametrize("where", ["", "train/", "train/cat/"])
def test_folders_of_systems_are_left_out(plant, name, where):
    root = plant("r", *paths("train/cat", "test/cat", f"{where}{name}", f"{where}{name}/cat"))
    (root / "train/cat/Thumbs.db").write_bytes(b"\xff\xd8\xff")
    assert listed(root)[0] == {("train", "cat"), ("test", "cat")}


def test_a_folder_beside_train_without_images_is_no_class(plant):
    root = plant("r", *paths("train/cat", "train/dog"), "docs/readme.txt")
    assert listed(root)[0] == {(s, c) for s in ("train", "test") for c in ("cat", "dog")}


def test_images_beside_the_folders_of_the_splits_are_named(plant):
    _, scanner = listed(plant("r", *paths("train/cat", "test/cat"), "overview.jpg"))
    assert scanner.left_out == [("overview.jpg", "lies beside the folders of the splits")]
    assert os.fspath("overview.jpg") in scanner.lost


def test_a_root_one_level_too_high_is_told_first(plant):
    """A data set among other folders of images."""
    root = plant("data", *paths("pets/cat", "pets/dog", "thirty/cat", "thirty/dog"))
    with pytest.raises(RelianceError) as caught:
        listed(root)
    assert caught.value.next_step.startswith(f"if you meant {root / 'pets'}, give that path; if these are")
