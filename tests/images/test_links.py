"""A data set that is a tree of links: each real file once per split, and no walk without end."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images.folder import list_folder
from reliance.images.index import index_images
from reliance.images.layouts import Looking
from reliance.images.scan import Scanner
from reliance.images.tables import INDEX


def link(path: Path, to: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def paths(scanner: Scanner, relative: str = "") -> list[str]:
    return [file.path for file in scanner.images(relative)]


def rows(root: Path, folder: Path, **settings: object) -> list[tuple[object, ...]]:
    out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**out, root=str(root), layout="folder", **settings)  # type: ignore[arg-type]
    frame = read_table(out["index"], INDEX).frame
    return list(frame[["split", "image_id", "path", "class_id", "bytes"]].itertuples(index=False, name=None))


def test_a_tree_of_links_is_indexed_like_the_tree_itself(plant, tmp_path):
    """Splits, classes and files that are links: rows and division are those of the real folders."""
    classes = [f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(6)]
    real = plant("real", *(f"{split}/{path}" for split in ("train", "test") for path in classes))
    by_split, by_file = tmp_path / "by_split", tmp_path / "by_file"
    for split in ("train", "test"):
        link(by_split / split, real / split)
        for path in classes:
            link(by_file / split / path, real / split / path)
    link(tmp_path / "by_class/train/cat", real / "train/cat")
    link(tmp_path / "by_class/train/dog", real / "train/dog")
    link(tmp_path / "by_class/test", real / "test")
    expected = rows(real, tmp_path)
    for name in ("by_split", "by_file", "by_class"):
        assert rows(tmp_path / name, tmp_path) == expected
    divided = rows(real / "train", tmp_path)
    assert rows(by_file / "train", tmp_path) == divided and len(divided) == 12


def test_loops_end_and_are_listed(plant):
    root = plant("r", "k/a.jpg", "other/b.jpg")
    link(root / "k/self", root / "k")
    link(root / "k/up", root)
    link(root / "k/out", root.parent / "far")
    plant("far", "c.jpg")
    link(root.parent / "far/back", root)
    scanner = Scanner(root)
    assert paths(scanner, "k") == ["k/a.jpg", "k/out/c.jpg"]
    assert sorted(scanner.left_out) == [
        ("k/out/back", "a link to a folder that it lies in"),
        ("k/self", "a link to a folder that it lies in"),
        ("k/up", "a link to a folder that it lies in"),
    ]
    assert not scanner.lost


def test_two_folders_that_link_to_each_other(plant):
    root = plant("r", "k/a.jpg", "x/b.jpg", "y/c.jpg")
    link(root / "k/x", root / "x")
    link(root / "x/y", root / "y")
    link(root / "y/x", root / "x")
    scanner = Scanner(root)
    assert paths(scanner, "k") == ["k/a.jpg", "k/x/b.jpg", "k/x/y/c.jpg"]


def test_a_real_file_counts_once_and_what_lies_there_itself_comes_first(plant):
    root = plant("r", "k/z.jpg", "far/1.jpg")
    link(root / "k/a.jpg", root / "k/z.jpg")
    link(root / "k/m", root / "far")
    link(root / "k/n", root / "far")
    scanner = Scanner(root)
    assert paths(scanner, "k") == ["k/m/1.jpg", "k/z.jpg"]
    assert scanner.left_out == [
        ("k/n", "the same folder as k/m"),
        ("k/a.jpg", "the same file as k/z.jpg"),
    ]
    assert not scanner.lost


def test_a_file_of_two_classes_counts_in_one_and_in_each_split(plant, tmp_path):
    root = plant("r", "train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg", "test/a/4.jpg", "test/b/5.jpg")
    link(root / "train/b/1.jpg", root / "train/a/1.jpg")
    link(root / "test/a/1.jpg", root / "train/a/1.jpg")
    link(root / "test/b/1.jpg", root / "train/a/1.jpg")
    kept = [row[2] for row in rows(root, tmp_path)]
    assert sorted(kept) == [
        "test/a/1.jpg", "test/a/4.jpg", "test/b/5.jpg", "train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg",
    ]  # fmt: skip
    left_out = read_table(tmp_path / "index.parquet", INDEX).stamp.params["left_out"]
    assert left_out == [
        ["test/b/1.jpg", "the same file as test/a/1.jpg"],
        ["train/b/1.jpg", "the same file as train/a/1.jpg"],
    ]


def test_a_class_of_links_to_another_class_is_ignored_and_that_is_said(plant):
    root = plant("r", "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg")
    for i in (1, 2):
        link(root / f"c/{i}.jpg", root / f"a/{i}.jpg")
    scanner = Scanner(root)
    assert {group.folder for group in list_folder(scanner)} == {"a", "b"}
    assert any("class c has no images but those of other classes" in line for line in scanner.told)


def test_links_are_followed_nowhere_where_the_key_says_so(plant, tmp_path):
    root, other = plant("r", "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"), plant("o", "5.jpg")
    link(root / "a/5.jpg", other / "5.jpg")
    assert len(rows(root, tmp_path)) == 5
    assert len(rows(root, tmp_path, looking=Looking(False))) == 4
    link(root / "c", other)
    with pytest.raises(RelianceError, match=r"images\.follow_links: true"):
        rows(root, tmp_path, looking=Looking(False))


NAMES = st.sampled_from("abc")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, NAMES, st.lists(NAMES, max_size=2)), max_size=8))
def test_any_tree_of_links_ends_with_each_real_file_once(tmp_path_factory, drawn):
    """Against a slow referee: all that can be reached, by real path."""
    root = tmp_path_factory.mktemp("r")
    for a in "abc":
        (root / a).mkdir()
        (root / a / f"{a}.jpg").write_bytes(b"x")
    for folder, name, target in drawn:
        path = root / folder / f"to_{name}"
        if not path.is_symlink():
            path.symlink_to(root.joinpath(*target))
    found = [os.path.realpath(root / path) for path in paths(Scanner(root), "a")]
    assert len(set(found)) == len(found)
    reached, pending = set(), [(os.path.realpath(root / "a"), ())]
    seen = set()
    while pending:
        folder, trail = pending.pop()
        if (folder, trail) in seen:
            continue
        seen.add((folder, trail))
        for entry in filter(lambda entry: os.path.exists(entry.path), os.scandir(folder)):
            real = os.path.realpath(entry.path)
            jumped = (*trail, folder) if entry.is_symlink() else trail
            if entry.is_file():
                reached.add(real)
            elif not any((place + "/").startswith(real + "/") for place in jumped):
                pending.append((real, jumped))
    assert set(found) <= reached and str(root / "a/a.jpg") in found
