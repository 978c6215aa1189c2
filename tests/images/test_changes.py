"""Files that were removed, replaced or added since the index are told apart, without opening one."""

import os
import shutil

import pytest

from reliance.base.errors import RelianceError
from reliance.base.stamps import read_about
from reliance.images.changes import changes, sources_gone
from reliance.images.index import index_images
from reliance.images.tables import read_split

from . import held


@pytest.fixture
def made(plant, tmp_path):
    root = plant("r", *(f"{folder}/{i}.jpg" for folder in ("cat", "dog") for i in range(20)))
    index = tmp_path / "index.parquet"
    index_images(index=index, classes=tmp_path / "classes.parquet", root=str(root), layout="folder")
    return root, index


def test_nothing_changed(made):
    root, index = made
    assert not any(changes(index)) and sources_gone([index]) == []
    assert read_about(index)["root"] == str(root)


def test_gone_changed_and_new_files(made):
    root, index = made
    (root / "cat/0.jpg").unlink()
    (root / "dog/1.jpg").write_bytes(b"another image")
    (root / "dog/2.jpg").rename(root / "dog/other.jpg")
    later = index.stat().st_mtime + 5
    os.utime(root / "cat/3.jpg", (later, later))
    (root / ".hidden.jpg").write_bytes(b"x")
    found = changes(index)
    assert found.gone == ["cat/0.jpg", "dog/2.jpg"]
    assert found.changed == ["cat/3.jpg", "dog/1.jpg"]
    assert found.new == ["dog/other.jpg"]
    gone, changed = sources_gone([index])
    assert "2 images are gone, such as cat/0.jpg" in gone and "dog/1.jpg" not in gone
    assert "2 images are not the file that was indexed" in changed


def test_a_file_of_the_same_size_and_an_older_time_is_another_one(made):
    """As `cp -p` or an archive leaves it: the index knows when the file that it listed was written."""
    root, index = made
    (root / "cat/5.jpg").write_bytes(b"xyz")
    os.utime(root / "cat/5.jpg", (10**9, 10**9))
    assert changes(index) == ([], ["cat/5.jpg"], [])


@pytest.mark.parametrize("how", held.HOW)
def test_changes_of_containers(how, tmp_path):
    photos = held.photographs(tmp_path / "photos", each=3)
    kept, index = held.pack(how, photos, tmp_path / "kept"), tmp_path / "index.parquet"
    settings = {"layout": held.LAYOUT[how], "root": str(kept)}
    index_images(index=index, classes=tmp_path / "classes.parquet", **settings)
    assert not any(changes(index)) and sources_gone([index]) == []
    copy = shutil.copytree(kept, tmp_path / "copy", copy_function=shutil.copyfile)
    assert changes(index, str(copy)) == ([], [], [])
    first = held.files(kept)[0]
    with open(copy / first.name, "ab") as stream:
        stream.write(b"more")
    assert changes(index, str(copy)).changed
    first.with_stem("new").write_bytes(first.read_bytes())
    assert changes(index) == ([], [], ["new" + first.suffix])
    os.utime(first, (10**9, 10**9))
    inside = changes(index).changed
    assert inside and set(inside) <= set(read_split(index, "train").paths) | set(
        read_split(index, "test").paths
    )
    first.unlink()
    found = changes(index)
    assert found.gone == inside and not found.changed
    assert f"{len(inside)} images are gone" in sources_gone([index])[0]


def test_what_is_new_behind_a_link_is_found_and_loops_end(made, plant, tmp_path):
    root, index = made
    (root / "cat/again.jpg").symlink_to("0.jpg")
    (root / "cat/up").symlink_to("..")
    plant("far", "1.jpg")
    (root / "cat/far").symlink_to(tmp_path / "far")
    assert changes(index) == ([], [], ["cat/far/1.jpg"])


def test_a_root_that_is_not_there(made, tmp_path):
    root, index = made
    root.rename(tmp_path / "moved")
    with pytest.raises(RelianceError, match="--root"):
        changes(index)
    assert not any(changes(index, str(tmp_path / "moved")))
    assert sources_gone([index]) == []


def test_the_split_of_images_that_stayed_is_stable(made, plant, tmp_path):
    """One more image in a class moves at most one other between the splits, and none of another class."""
    root, index = made
    before = {s: set(read_split(index, s).paths) for s in ("train", "test")}
    (root / "cat/new.jpg").write_bytes(b"x")
    again = tmp_path / "again.parquet"
    index_images(index=again, classes=tmp_path / "c.parquet", root=str(root), layout="folder")
    after = {s: set(read_split(again, s).paths) for s in ("train", "test")}
    moved = (before["train"] & after["test"]) | (before["test"] & after["train"])
    assert len(moved) <= 1 and all(path.startswith("cat/") for path in moved)
