"""The same images as folders, parquet files, tar shards and ZIP archives are one data set."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images import webdataset, zips
from reliance.images.decode import Images, Reading
from reliance.images.index import index_images
from reliance.images.layouts import Looking, labelled
from reliance.images.scan import File
from reliance.images.source import Held, located, read_image
from reliance.images.tables import CLASSES as CLASS_TABLE
from reliance.images.tables import INDEX, read_split
from reliance.images.tree import Fields, Sample, Tree, as_folders

from . import held
from .test_decode import PREPROCESS


def indexed(root, layout, folder, **settings):
    """(rows of INDEX, CLASSES, stamp) of a root."""
    out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**out, root=str(root), layout=layout, dataset="mine", **settings)
    table = read_table(out["index"], INDEX)
    return table.frame, read_table(out["classes"], CLASS_TABLE).frame, table.stamp


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return held.photographs(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def undivided(tmp_path_factory):
    return held.photographs(tmp_path_factory.mktemp("undivided"), ("train",)) / "train"


@pytest.mark.parametrize("how", held.HOW)
@pytest.mark.parametrize("which", ["photos", "undivided"])
def test_index_identity_and_pixels_are_those_of_the_files(how, which, request, tmp_path):
    root = request.getfixturevalue(which)
    expected, classes, stamp = indexed(root, "folder", tmp_path)
    before = read_split(tmp_path / "index.parquet", "train")
    kept = held.pack(how, root, tmp_path / how)
    found, named, again = indexed(kept, held.LAYOUT[how], tmp_path)
    columns = [name for name, _ in INDEX.columns]
    pd.testing.assert_frame_equal(found[columns], expected[columns])
    pd.testing.assert_frame_equal(named, classes)
    assert again.id == stamp.id and "place" in found and "place" not in expected
    after = read_split(tmp_path / "index.parquet", "train")
    files = Images(before.paths, Reading(str(root)), PREPROCESS, before.sizes)
    inside = Images(after.paths, Reading(str(kept)), PREPROCESS, after.sizes, after.places)
    for i in range(len(files)):
        one, other = files[i], inside[i]
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.reason, one.failure) == (other.reason, other.failure)
    reasons = [inside[i].reason for i in range(len(inside))]
    assert sum(map(bool, reasons)) <= 1 and (which == "undivided" or any(reasons))


@pytest.mark.parametrize("how", held.HOW)
def test_places_lead_to_the_bytes_in_any_order(how, photos, tmp_path):
    kept = held.pack(how, photos, tmp_path / how)
    found, *_ = indexed(kept, held.LAYOUT[how], tmp_path)
    for row in found.sample(frac=1, random_state=0).itertuples():
        at = located(kept, row.path, row.place)
        assert isinstance(at, Held) and read_image(at, 10**6) == (photos / row.path).read_bytes()
    if how == "parquet":
        assert not found["place"].str.contains("@").any()
    if how == "packed":
        assert found["place"].str.contains("@").all()


@pytest.mark.parametrize("how", held.HOW)
def test_classes_are_seen_without_listing_everything(how, photos, tmp_path):
    kept = held.pack(how, photos, tmp_path / how)
    assert labelled(held.LAYOUT[how], str(kept), Looking())
    assert labelled(held.LAYOUT[how], str(tmp_path / "nowhere"), Looking())


@pytest.mark.parametrize("how", held.HOW)
@pytest.mark.parametrize("cut", [False, True])
def test_a_container_that_was_replaced_is_noticed(how, cut, photos, tmp_path, monkeypatch):
    """With another order of the images, or its end cut off, an image is its own bytes or an error."""
    kept = held.pack(how, photos, tmp_path / how)
    found, *_ = indexed(kept, held.LAYOUT[how], tmp_path)
    monkeypatch.setattr(held, "SEED", [2])
    if not cut:
        held.pack(how, photos, kept)
    for path in held.files(kept) if cut else ():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    wrong = 0
    for row in found.itertuples():
        try:
            image = read_image(located(kept, row.path, row.place), 10**6)
        except Exception as error:
            assert isinstance(error, RelianceError) or "damaged" in str(error), error
            wrong += 1
        else:
            assert image == (photos / row.path).read_bytes()
    assert wrong


def write_parquet(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


JPEG = b"\xff\xd8\xff rest"


def test_numbers_without_names_are_classes_in_their_order(tmp_path):
    labels = [0, 2, 10, 11, 2, 0, 10, 11]
    write_parquet(tmp_path / "r/a.parquet", image=[JPEG] * 8, label=labels)
    found, classes, _ = indexed(tmp_path / "r", "parquet", tmp_path)
    assert classes["folder"].tolist() == ["00", "02", "10", "11"]
    assert found["path"][0] in ("00/a-0000001.jpg", "00/a-0000006.jpg")


def test_columns_are_named_in_fields(tmp_path):
    columns = {
        "picture": [JPEG, JPEG + b"2", JPEG + b"3", JPEG + b"4"], "species": ["a", "a", "b/c", "b/c"],
        "set": ["train", "validation", "train", "validation"],
        "file": ["x.jpg", "x", "../../y.png", "/z.jpg"],
        "other": [b"1", b"2", b"3", b"4"],
    }  # fmt: skip
    write_parquet(tmp_path / "r/a.parquet", **columns)
    fields = {"image": "picture", "label": "species", "split": "set", "name": "file"}
    found, classes, _ = indexed(tmp_path / "r", "parquet", tmp_path, looking=Looking(True, fields))
    assert sorted(found["path"]) == ["train/a/x.jpg", "train/b_c/y.png", "val/a/x.jpg", "val/b_c/z.jpg"]
    assert classes["folder"].tolist() == ["a", "b_c"]
    with pytest.raises(RelianceError, match="no kind among"):
        indexed(tmp_path / "r", "parquet", tmp_path, looking=Looking(True, fields | {"label": "kind"}))
    with pytest.raises(RelianceError, match="a column of bytes"):
        indexed(tmp_path / "r", "parquet", tmp_path)


def test_a_test_split_without_labels_gives_way_to_validation(tmp_path):
    for split, labels in (("train", [0, 1, 0, 1]), ("validation", [0, 1]), ("test", [-1, -1])):
        images = [JPEG + f"{split}{i}".encode() for i in range(len(labels))]
        write_parquet(tmp_path / f"r/{split}-00000-of-00001.parquet", image=images, label=labels)
    found, *_ = indexed(tmp_path / "r", "parquet", tmp_path)
    assert found.groupby("split").size().to_dict() == {"train": 4, "test": 2}
    assert (found["class_id"] >= 0).all()


def test_images_without_classes(tmp_path):
    write_parquet(tmp_path / "r/a.parquet", image=[JPEG + bytes([i]) for i in range(10)])
    found, classes, _ = indexed(tmp_path / "r", "parquet", tmp_path)
    assert len(found) == 10 and set(found["class_id"]) == {-1} and classes.empty
    assert not labelled("parquet", str(tmp_path / "r"), Looking())


def test_one_name_in_two_shards_is_two_images(tmp_path):
    (tmp_path / "r").mkdir()
    for n in range(2):
        with tarfile.open(tmp_path / f"r/{n}.tar", "w") as archive:
            for key in ("0001", "0002"):
                held.add(archive, f"{key}.jpg", JPEG + f"{n}{key}".encode())
                held.add(archive, f"{key}.json", json.dumps({"label": n}).encode())
                held.add(archive, f"{key}.seg.png", b"mask")
    found, classes, _ = indexed(tmp_path / "r", "webdataset", tmp_path)
    assert len(found) == 4 and classes["folder"].tolist() == ["0", "1"]
    found, *_ = indexed(tmp_path / "r", "webdataset", tmp_path)
    assert found["path"].is_unique


def test_an_archive_per_class_and_one_per_split(tmp_path):
    for name, members in (("cat", "ab"), ("dog", "cd")):
        path = tmp_path / f"r/{name}.zip"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for member in members:
                archive.writestr(f"{member}.jpg", JPEG)
    found, classes, _ = indexed(tmp_path / "r", "zip", tmp_path)
    assert classes["folder"].tolist() == ["cat", "dog"]
    assert sorted(found["path"]) == ["cat/a.jpg", "cat/b.jpg", "dog/c.jpg", "dog/d.jpg"]
    for split in ("train", "test"):
        path = tmp_path / f"s/{split}.zip"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for member in ("cat/1.jpg", "dog/2.jpg", "__MACOSX/cat/._1.jpg", "notes.txt"):
                archive.writestr(f"{split}/{member}", JPEG)
    found, *_ = indexed(tmp_path / "s", "zip", tmp_path)
    assert sorted(found["path"]) == ["test/cat/1.jpg", "test/dog/2.jpg", "train/cat/1.jpg", "train/dog/2.jpg"]


def test_shards_of_folders_without_labels(tmp_path):
    (tmp_path / "r").mkdir()
    with tarfile.open(tmp_path / "r/all.tar", "w") as archive:
        for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"):
            held.add(archive, f"./{name}", JPEG)
    found, classes, _ = indexed(tmp_path / "r", "webdataset", tmp_path)
    assert sorted(found["path"]) == ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"]
    assert classes["folder"].tolist() == ["cat", "dog"]


@pytest.mark.parametrize("layout", ["parquet", "webdataset", "zip"])
def test_a_root_without_containers_says_what_is_there(layout, plant, tmp_path):
    root = plant("r", "a/x.jpg", "shard.tar.gz", "notes.txt")
    with pytest.raises(RelianceError, match=f"layout '{layout}'") as caught:
        indexed(root, layout, tmp_path)
    assert "1 images" in caught.value.found and ".gz" in caught.value.found
    assert io.StringIO(caught.value.next_step).read()


def test_archives_of_classes_keep_them_whatever_lies_inside(tmp_path):
    """Folders in them are of patients; a text at the top or a folder around them changes nothing."""
    for name in ("benign", "malignant"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("README.txt", "x")
            for patient in ("pat1", "pat2"):
                archive.writestr(f"{name}/{patient}/{name[0]}.jpg", b"x" * 9)
    tree = Tree(tmp_path)
    zips.fill(tree, Fields())
    assert tree.folders() == ["benign", "malignant"]


def test_parts_of_one_set_are_put_together_and_said(tmp_path):
    for part in ("part1", "part2"):
        with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            archive.writestr("README.txt", "x")
            for label in "01":
                archive.writestr(f"{label}/{part}.jpg", b"x" * 9)
    tree = Tree(tmp_path)
    told = []
    tree.say = told.append
    zips.fill(tree, Fields())
    assert tree.folders() == ["0", "1"] and len(tree.images("0")) == 2
    assert "folders of one name in several archives are one class: 2" in told[0]


def test_names_with_dots_in_shards_without_labels_are_images_of_their_own(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("cat/cat.0.jpg", "cat/cat.1.jpg", "dog/0.jpg", "dog/0.png"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"1234"))
    tree = Tree(tmp_path)
    webdataset.fill(tree, Fields())
    names = ["cat/cat.0.jpg", "cat/cat.1.jpg", "dog/0.jpg", "dog/0.png"]
    assert [file.path for file in tree.images()] == names
    assert not tree.left_out


def test_an_image_without_a_class_among_others_is_left_out_and_counted(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("images/0.jpg", "images/0.cls", "images/1.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"1"))
    tree = Tree(tmp_path)
    webdataset.fill(tree, Fields())
    assert len(tree.images()) == 1 and [reason for _, reason in tree.left_out] == ["it has no class"]


@pytest.mark.parametrize("names", [["n/a", "n_a"], [".net", "z"], ["", "z"]])
def test_names_of_classes_that_make_no_folders_of_their_own_are_refused(tmp_path, names):
    tree = Tree(tmp_path)
    file = File("0.jpg", 1, 0, "a#0+1")
    with pytest.raises(RelianceError, match="names of classes stay different"):
        as_folders(tree, [Sample("", 0, file)], names)
