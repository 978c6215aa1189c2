"""Only new and changed images are embedded when a list of images changed."""

import os
import shutil

import numpy as np
import pytest

from reliance.encoders import kept, vision
from reliance.encoders.sites import class_token, embedding
from reliance.encoders.stored import Embeddings
from reliance.images.index import index_images
from reliance.images.tables import SplitRows

from .conftest import write_pictures
from .test_vision import embed


@pytest.fixture
def photos(tmp_path):
    """root, index() and embed(): the split train in two parts, as Snakemake has it made again."""
    root = tmp_path / "photos"
    write_pictures(root, {"train/a": 6, "train/b": 5, "test/a": 3})

    def again(weights, **settings):
        index, out = tmp_path / "index.parquet", tmp_path / "embedded" / "train"
        index_images(index=index, classes=tmp_path / "c.parquet", root=str(root), layout="folder")
        for part in out.glob("part-*"):
            shutil.rmtree(part)  # as Snakemake does before a job
        return embed(out, (root, index), weights, parts=2, keep=True, **settings)

    return root, again


def counted(monkeypatch):
    seen, collate = [], vision.collate
    monkeypatch.setattr(vision, "collate", lambda items: seen.extend(items) or collate(items))
    return seen


def test_what_stayed_is_not_read_again(photos, weights, monkeypatch):
    root, again = photos
    before = again(weights)
    seen = counted(monkeypatch)
    np.testing.assert_array_equal(again(weights).read("x"), before.read("x"))
    assert not seen
    shutil.copy(root / "train/a/00.png", root / "train/a/00a.png")  # new, between others
    (root / "train/b/02.png").unlink()
    (root / "train/a/03.png").write_bytes((root / "train/b/04.png").read_bytes())  # another picture
    found = again(weights)
    assert len(seen) == 2
    monkeypatch.undo()
    assert len(list(root.parent.glob("embedded/train/.kept-*"))) == 2  # of this list alone
    for folder in root.parent.glob("embedded/train/.kept-*"):
        shutil.rmtree(folder)
    whole = again(weights)
    for name in ("x", "embedding", "valid"):
        np.testing.assert_allclose(found.read(name), whole.read(name), atol=1e-5)
    assert found.rows == whole.rows == 11


def test_a_renamed_image_and_one_written_again_are_read(photos, weights, monkeypatch):
    root, again = photos
    again(weights)
    seen = counted(monkeypatch)
    (root / "train/a/01.png").rename(root / "train/a/other.png")
    os.utime(root / "train/b/01.png")
    again(weights)
    assert len(seen) == 2


def test_other_settings_and_another_site_take_nothing_over(photos, weights, monkeypatch):
    _, again = photos
    again(weights)
    seen = counted(monkeypatch)
    again(weights, dtype="float16")
    assert len(seen) == 11
    again(weights, dtype="float16", site=embedding)
    assert len(seen) == 22
    again(weights, dtype="float16", site=embedding)
    again(weights, dtype="float16", site=embedding, fingerprint="b")
    assert len(seen) == 33


def test_what_is_damaged_is_embedded_again(photos, weights, monkeypatch, caplog):
    root, again = photos
    before = again(weights).read("x")
    for file in root.parent.glob("embedded/train/.kept-*-part-0*/x/c/0/0"):
        data = bytearray(file.read_bytes())
        data[:4] = b"\0\0\0\0"
        file.write_bytes(data)
    seen = counted(monkeypatch)
    np.testing.assert_allclose(again(weights).read("x"), before, atol=1e-6)
    assert len(seen) == 5 and "embedded again" in caplog.text


def test_an_unreadable_image_is_tried_again(photos, weights):
    root, again = photos
    good = (root / "train/b/01.png").read_bytes()
    (root / "train/b/01.png").write_bytes(good[:300])
    assert len(again(weights).excluded) == 1
    assert len(again(weights).excluded) == 1
    (root / "train/b/01.png").write_bytes(good)
    assert not again(weights).excluded


def test_a_disk_without_hard_links_keeps_nothing(photos, weights, monkeypatch):
    root, again = photos

    def refused(*_args, **_keywords):
        raise OSError("no links here")

    monkeypatch.setattr(kept.shutil, "copytree", refused)
    found = again(weights)
    assert found.rows == 11 and not list(root.parent.glob("embedded/train/.kept-*"))
    assert isinstance(found, Embeddings) and class_token.SITE.name == found.site


def test_a_file_that_looks_the_same_but_was_written_again_is_read(photos, weights, monkeypatch):
    """The same size and time, as archives restore them: the time of its entry is another."""
    root, again = photos
    again(weights)
    seen = counted(monkeypatch)
    file = root / "train/a/02.png"
    was = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # of the last chunk's checksum: the picture is read all the same
    file.write_bytes(content)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    again(weights)
    assert len(seen) == 1


def test_what_lies_below_another_root_or_in_a_container_is_read(tmp_path):
    write_pictures(tmp_path, {"a": 2})
    sizes = np.array([(tmp_path / f"a/0{i}.png").stat().st_size for i in range(2)])
    paths, labels = np.array(["a/00.png", "a/01.png"], object), np.zeros(2, np.int32)
    listed = SplitRows(paths, labels, sizes, None, np.array(["", "z.zip:0:9"], object))
    states = kept.states_of(str(tmp_path), listed)
    assert states[0][:2] == ("a/00.png", sizes[0]) and states[1] is None
    assert kept.states_of(str(tmp_path), listed._replace(sizes=sizes + 1))[0] is None
    keys = {kept.key_of("w", "c", {"split": ""}, str(root)) for root in (tmp_path, tmp_path / "a")}
    assert len(keys) == 2
    assert kept.digest(states) != kept.digest(states[:1]) and kept.digest([]) == ""
