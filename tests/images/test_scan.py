"""What counts as an image of a data set, and what does not."""

import os

import pytest

from reliance.base.errors import RelianceError
from reliance.images.scan import File, Scanner


def test_images_of_every_suffix_in_any_case_sorted_with_sizes(plant):
    names = ["b.JPEG", "a.jpg", "c.Png", "d.webp", "e.tif", "é ü 猫.jpg"]
    root = plant("r", *names, "notes.txt", "jpg", ".hidden.jpg", "._a.jpg", "x.jpg.part")
    found = Scanner(root).images()
    assert [file[:2] for file in found] == [(name, 3) for name in sorted(names)]
    assert found[0] == File("a.jpg", 3, (root / "a.jpg").stat().st_mtime_ns)


def test_subfolders_are_walked_hidden_ones_are_not(plant):
    root = plant("r", "k/a.jpg", "k/deep/er/b.jpg", "k/.thumbs/c.jpg", "__MACOSX/k/d.jpg")
    scanner = Scanner(root)
    assert [f.path for f in scanner.images("k")] == ["k/a.jpg", "k/deep/er/b.jpg"]
    assert [f.path for f in scanner.images("k", recursive=False)] == ["k/a.jpg"]
    assert scanner.folders() == ["k"]


def test_a_link_to_an_image_inside_the_root_counts_where_links_are_not_followed(plant):
    root = plant("r", "k/a.jpg")
    (root / "k" / "b.jpg").symlink_to(root / "k" / "a.jpg")
    assert [f.path for f in Scanner(root, follow_links=False).images("k")] == ["k/a.jpg", "k/b.jpg"]


def test_links_out_of_the_root_to_nothing_and_to_folders_are_left_out(plant):
    root, other = plant("r", "k/a.jpg"), plant("r2", "secret.jpg", "more/x.jpg")
    (root / "k" / "out.jpg").symlink_to(other / "secret.jpg")
    (root / "k" / "dead.jpg").symlink_to(root / "nothing.jpg")
    (root / "k" / "more").symlink_to(other / "more")
    (root / "k" / "loop").symlink_to(root / "k")
    scanner = Scanner(root, follow_links=False)
    assert [f.path for f in scanner.images("k")] == ["k/a.jpg"]
    assert sorted(scanner.left_out) == [
        ("k/dead.jpg", "a link to nothing"),
        ("k/loop", "a link to a folder"),
        ("k/more", "a link to a folder"),
        ("k/out.jpg", "a link out of the data set's root"),
    ]


def test_a_folder_named_like_an_image_and_a_pipe_are_not_images(plant):
    root = plant("r", "k/odd.jpg/a.jpg")
    os.mkfifo(root / "k" / "pipe.jpg")
    scanner = Scanner(root)
    assert [f.path for f in scanner.images("k")] == ["k/odd.jpg/a.jpg"]
    assert scanner.left_out == [("k/pipe.jpg", "not a file")]


def test_names_that_are_not_utf8_are_left_out_with_a_name_that_can_be_stored(plant):
    root = plant("r", "k/a.jpg")
    with open(os.fsencode(root / "k") + b"/\xff.jpg", "wb"):
        pass
    scanner = Scanner(root)
    assert [f.path for f in scanner.images("k")] == ["k/a.jpg"]
    assert scanner.left_out == [("k/\\xff.jpg", "its name is not UTF-8")]
    scanner.left_out[0][0].encode()


def test_a_class_folder_outside_the_root_is_refused(plant):
    root, other = plant("r", "a/x.jpg"), plant("r2", "b/x.jpg")
    (root / "b").symlink_to(other / "b")
    with pytest.raises(RelianceError, match="a link out of the root"):
        Scanner(root, follow_links=False).folders()
    assert Scanner(root).folders() == ["a", "b"]
    assert [f.path for f in Scanner(root).images("b")] == ["b/x.jpg"]


def test_one_class_folder_under_two_names_is_refused(plant):
    root = plant("r", "a/x.jpg")
    (root / "b").symlink_to(root / "a")
    with pytest.raises(RelianceError, match="the same folder as a"):
        Scanner(root).folders()


def test_a_root_that_is_a_link_is_fine_and_one_that_is_missing_is_named(plant, tmp_path):
    root = plant("r", "a/x.jpg")
    (tmp_path / "link").symlink_to(root)
    assert [f.path for f in Scanner(tmp_path / "link").images()] == ["a/x.jpg"]
    with pytest.raises(RelianceError, match=r"datasets.mine.root.*\n  found: .*nowhere"):
        Scanner(tmp_path / "nowhere", "datasets.mine.root")


def test_a_root_whose_name_is_a_prefix_of_another_does_not_contain_it(plant):
    root, other = plant("data", "a/x.jpg"), plant("data2", "y.jpg")
    (root / "a" / "y.jpg").symlink_to(other / "y.jpg")
    assert [f.path for f in Scanner(root, follow_links=False).images()] == ["a/x.jpg"]
