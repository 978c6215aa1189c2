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
    sizes = {key: len(files) for key, files in listed(root)[0].items()}
    assert set(sizes) == {(split, name) for split in ("train", "test") for name in ("cat", "dog")}
    assert all(sizes["train", name] + sizes["test", name] == 10 for name in ("cat", "dog"))


def test_a_flat_list_of_images_is_divided_too(plant):
    root = plant("r", *(f"{i}.jpg" for i in range(5)))
    found, _ = listed(root, {"test": 0.4, "seed": 3})
    assert set(found) == {("train", ""), ("test", "")}
    assert len(found["train", ""]) + len(found["test", ""]) == 5


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


def test_divide_is_a_partition_fixed_by_the_seed_and_stable_under_new_images():
    files = [File(f"k/{i}.jpg", 1) for i in range(50)]
    halves = {g.split: g.files for g in divide([Group("", "k", files)], 0.2, 0)}
    assert Counter(halves["train"] + halves["test"]) == Counter(files) and 4 <= len(halves["test"]) <= 16
    again = {g.split: set(g.files) for g in divide([Group("", "k", files[::-1])], 0.2, 0)}
    assert again["test"] == set(halves["test"])
    other = {g.split: set(g.files) for g in divide([Group("", "k", files)], 0.2, 1)}
    assert other["test"] != set(halves["test"])
    more = {g.split: set(g.files) for g in divide([Group("", "k", [*files, File("k/new.jpg", 1)])], 0.2, 0)}
    assert more["test"] - {File("k/new.jpg", 1)} == set(halves["test"])


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("seed", range(5))
def test_small_classes_have_an_image_on_either_side(count, seed):
    files = [File(f"{i}.jpg", 1) for i in range(count)]
    sizes = Counter({g.split: len(g.files) for g in divide([Group("", "k", files)], 0.2, seed)})
    assert sizes["train"] >= 1 and sizes["train"] + sizes["test"] == count
    assert (sizes["test"] >= 1) == (count > 1)


@pytest.mark.parametrize("seed", range(5))
def test_images_that_stayed_keep_their_split_when_others_come_or_go(seed):
    files = [File(f"k/{i}.jpg", 1) for i in range(40)]
    whole = {f.path: g.split for g in divide([Group("", "k", files)], 0.2, seed) for f in g.files}
    assert 0 < sum(split == "test" for split in whole.values()) < 20
    more = [*files, *(File(f"k/new{i}.jpg", 1) for i in range(30))]
    for some in (more, files[10:]):
        found = {f.path: g.split for g in divide([Group("", "k", some)], 0.2, seed) for f in g.files}
        assert all(found[path] == split for path, split in whole.items() if path in found)
