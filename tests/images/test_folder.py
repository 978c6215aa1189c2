"""Own folders, in all the shapes people have them."""

from collections import Counter

import pytest

from reliance.base.errors import RelianceError
from reliance.images.folder import Group, divide, list_folder
from reliance.images.scan import File, Scanner


def listed(root, split=None):
    scanner = Scanner(root)
    found = {(g.split, g.folder): [f.path for f in g.files] for g in list_folder(scanner, split)}
    return found, scanner.left_out


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_train_and_test_or_val(plant, held_out):
    root = plant("r", "train/cat/1.jpg", "train/dog/2.jpg", f"{held_out}/cat/3.jpg")
    assert listed(root)[0] == {
        ("train", "cat"): ["train/cat/1.jpg"],
        ("train", "dog"): ["train/dog/2.jpg"],
        ("test", "cat"): [f"{held_out}/cat/3.jpg"],
    }


def test_test_wins_over_val_and_the_log_says_so(plant, caplog):
    root = plant("r", "train/cat/1.jpg", "test/cat/3.jpg", "val/cat/2.jpg")
    assert set(listed(root)[0]) == {("train", "cat"), ("test", "cat")}
    assert "folder val is ignored" in caplog.text


def test_split_folders_without_classes(plant):
    root = plant("r", "train/1.jpg", "test/2.jpg")
    assert listed(root)[0] == {("train", ""): ["train/1.jpg"], ("test", ""): ["test/2.jpg"]}


def test_class_folders_are_divided(plant):
    root = plant("r", *(f"{k}/{i:02}.jpg" for k in ("cat", "dog") for i in range(10)))
    found, _ = listed(root)
    assert {key: len(files) for key, files in found.items()} == {
        ("train", "cat"): 8, ("test", "cat"): 2, ("train", "dog"): 8, ("test", "dog"): 2,
    }  # fmt: skip


def test_a_flat_list_of_images_is_divided_too(plant):
    root = plant("r", *(f"{i}.jpg" for i in range(5)))
    found, _ = listed(root, {"test": 0.4, "seed": 3})
    assert len(found["train", ""]) == 3 and len(found["test", ""]) == 2


def test_a_lone_train_folder_is_divided(plant):
    root = plant("r", *(f"train/cat/{i}.jpg" for i in range(4)))
    assert set(listed(root, {"test": 0.5, "seed": 0})[0]) == {("train", "cat"), ("test", "cat")}


def test_a_class_called_train_is_a_class(plant):
    root = plant("r", *(f"{k}/{i}.jpg" for k in ("bus", "train") for i in range(2)))
    assert {folder for _, folder in listed(root)[0]} == {"bus", "train"}


def test_dividing_what_is_divided_is_refused(plant):
    root = plant("r", "train/cat/1.jpg", "test/cat/3.jpg")
    with pytest.raises(RelianceError, match="its own splits is not divided again"):
        listed(root, {"test": 0.2, "seed": 0})


def test_empty_class_folders_and_loose_images(plant, caplog):
    root = plant("r", "cat/1.jpg", "cat/2.jpg", "preview.jpg", "empty/readme.txt")
    found, left_out = listed(root)
    assert {folder for _, folder in found} == {"cat"}
    assert left_out == [("preview.jpg", "lies beside class folders")]
    assert "class folder empty has no images" in caplog.text


def test_divide_is_a_partition_fixed_by_the_seed_and_nearly_stable_under_new_images():
    files = [File(f"k/{i}.jpg", 1) for i in range(50)]
    halves = {g.split: g.files for g in divide([Group("", "k", files)], 0.2, 0)}
    assert Counter(halves["train"] + halves["test"]) == Counter(files) and len(halves["test"]) == 10
    again = {g.split: set(g.files) for g in divide([Group("", "k", files[::-1])], 0.2, 0)}
    assert again["test"] == set(halves["test"])
    other = {g.split: set(g.files) for g in divide([Group("", "k", files)], 0.2, 1)}
    assert other["test"] != set(halves["test"])
    more = {g.split: set(g.files) for g in divide([Group("", "k", [*files, File("k/new.jpg", 1)])], 0.2, 0)}
    assert len(more["test"] ^ set(halves["test"])) <= 2


@pytest.mark.parametrize(("count", "test"), [(1, 0), (2, 1), (3, 1), (4, 1), (8, 2)])
def test_small_classes(count, test):
    files = [File(f"{i}.jpg", 1) for i in range(count)]
    sizes = Counter({g.split: len(g.files) for g in divide([Group("", "k", files)], 0.2, 0)})
    assert sizes["test"] == test and sizes["train"] == count - test
