"""Only new and changed images are embedded when a list of images changed."""

import os
import shutil

import numpy as np
import pytest

from reliance.encoders import kept, vision
from reliance.encoders.sites import class_token, embedding
from reliance.encoders.stored import Embeddings
from reliance.images.index import index_images

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
