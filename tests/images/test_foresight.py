"""What the index shows is said before anything is embedded, with folders and ids."""

import pytest

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images.foresight import Needs, check_index, check_needs
from reliance.images.index import index_images
from reliance.images.tables import CLASSES, INDEX


@pytest.fixture
def made(plant, tmp_path):
    """made({"train/cat": 3, ...}) gives (index, classes) of a folder with so many images."""

    def run(counts):
        paths = [f"{folder}/{i}.jpg" for folder, n in counts.items() for i in range(n)]
        out = {name: tmp_path / f"{name}.parquet" for name in ("index", "classes")}
        index_images(**out, root=str(plant("r", *paths)), layout="folder")
        return out["index"], out["classes"]

    return run


def warnings(index, classes):
    return check_index(read_table(index, INDEX).frame, read_table(classes, CLASSES).frame)


GOOD = {"train/cat": 3, "train/dog": 3, "test/cat": 2, "test/dog": 2}


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({**GOOD, "train/owl": 3}, "1 of 3 classes have no image to test on: owl (class 2)"),
        ({**GOOD, "test/owl": 3}, "1 of 3 classes have no image to train on: owl (class 2)"),
        ({**GOOD, "train/owl": 1, "test/owl": 1}, "1 of 3 classes have one image to train on: owl (class 2)"),
        ({"train/cat": 3, "test/cat": 3}, "there is one class, cat (class 0)"),
        ({"train/cat": 3, "train/dog": 3, "test": 4}, "4 of 4 images of split test have no class"),
    ],
)
def test_warnings(made, counts, said):
    assert any(said in warning for warning in warnings(*made(counts)))


def test_a_good_folder_and_one_without_classes_give_none(made):
    assert warnings(*made(GOOD)) == []


@pytest.mark.parametrize(
    ("counts", "needs", "found"),
    [
        ({"train/cat": 3, "train/dog": 3, "test": 4}, Needs(mines=True), "0 classes with test images"),
        ({"train/cat": 3, "train/dog": 3, "test/cat": 4}, Needs(mines=True), "cat (class 0)"),
        ({**GOOD, "test/owl": 3}, Needs(probe=True), "no image to train on: owl (class 2)"),
        (GOOD, Needs(min_active=7), "6 images, with naming.min_active: 7"),
        (GOOD, Needs(positive=["owl"]), "owl"),
        (GOOD, Needs(positive=["cat"], negative=["wolf"]), "wolf"),
    ],
)
def test_what_would_end_in_an_error_is_one_now(made, counts, needs, found):
    with pytest.raises(RelianceError) as caught:
        check_needs(*made(counts), needs, "mine")
    assert found in caught.value.found


def test_few_images_are_told(made, caplog):
    found = check_needs(*made(GOOD), Needs(mines=True, probe=True, min_active=6, min_samples=3), "mine")
    assert found == [
        "2 of 2 classes have fewer test images than failures.min_samples = 3, and cannot have a case there: "
        "cat (class 0), dog (class 1)"
    ]
    assert all(record.told for record in caplog.records) and "mine: 2 of 2" in caplog.text
