"""Images with texts about them: kept with the index, without classes, and what they name in common."""

import json
import re
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images.captions import FILLING, LONGEST, count_captions, phrases
from reliance.images.index import index_images
from reliance.images.layouts import Looking, labelled
from reliance.images.tables import INDEX

from . import held

JPEG = b"\xff\xd8\xff rest"
TEXTS = ["A dog on a beach", "two dogs, one ball", "", "a cup of tea"]


@pytest.fixture
def indexed(tmp_path):
    def index(root, layout, **looking):
        out = {name: tmp_path / f"{name}.parquet" for name in ("index", "classes")}
        index_images(**out, root=str(root), layout=layout, looking=Looking(**looking), max_invalid=5)
        table = read_table(out["index"], INDEX)
        return table.frame.sort_values("path").reset_index(drop=True), table.stamp

    return index


@pytest.fixture
def shard(tmp_path):
    """shard({name: content}) makes r/a.tar of these files."""

    def make(files):
        (tmp_path / "r").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "r/a.tar", "w") as archive:
            for name, content in files.items():
                held.add(archive, name, content)
        return tmp_path / "r"

    return make


@pytest.mark.parametrize("folder", ["", "00000/", "images/"])
def test_shards_of_pairs_have_captions_and_no_classes(indexed, shard, folder):
    files = {}
    for i, text in enumerate(TEXTS):
        files[f"{folder}{i}.jpg"] = JPEG + bytes([i])
        files[f"{folder}{i}.txt"] = text.encode()
    root = shard(files)
    assert not labelled("webdataset", str(root), Looking())
    found, _ = indexed(root, "webdataset")
    assert found["caption"].tolist() == TEXTS and set(found["class_id"]) == {-1}
    assert found["path"][0] == f"{folder}0.jpg".replace("/", "_")


def test_keys_in_folders_say_nothing_beside_labels(indexed, shard):
    files = {}
    for i, label in enumerate(["cat", "cat", "dog", "dog"]):
        files[f"{'ab'[i % 2]}/{i}.jpg"] = JPEG + bytes([i])
        files[f"{'ab'[i % 2]}/{i}.json"] = json.dumps({"label": label, "caption": f"no {i}"}).encode()
    found, _ = indexed(shard(files), "webdataset")
    assert found["path"].tolist() == ["cat/a_0.jpg", "cat/b_1.jpg", "dog/a_2.jpg", "dog/b_3.jpg"]
    assert found["caption"].tolist() == [f"no {i}" for i in range(4)]


def test_a_key_that_leads_out_is_left_out_beside_labels_too(indexed, shard):
    files = {}
    for key in ("0", "1", "../2"):
        files |= {f"{key}.jpg": JPEG + key.encode(), f"{key}.cls": b"cat"}
    found, stamp = indexed(shard(files), "webdataset")
    assert found["path"].tolist() == ["cat/0.jpg", "cat/1.jpg"]
    assert [path for path, _ in stamp.params["left_out"]] == ["../2.jpg"]


@pytest.mark.parametrize(("column", "fields"), [("text", None), ("said", {"caption": "said"})])
def test_a_column_of_texts_is_the_captions_of_parquet_files(indexed, tmp_path, column, fields):
    (tmp_path / "r").mkdir()
    images = [JPEG + bytes([i]) for i in range(4)]
    pq.write_table(pa.table({"image": images, column: TEXTS}), tmp_path / "r/a.parquet")
    found, stamp = indexed(tmp_path / "r", "parquet", fields=fields)
    assert found["caption"].tolist() == TEXTS
    pq.write_table(pa.table({"image": images, "caption": [["x ", "y"]] * 4}), tmp_path / "r/a.parquet")
    again, same = indexed(tmp_path / "r", "parquet")
    assert again["caption"].tolist() == ["x\ny"] * 4
    assert same.id == stamp.id  # a data set is what its images are


@pytest.mark.parametrize("column", [[1, 2], [{"a": 1}] * 2])
def test_captions_that_are_no_texts_are_refused_or_no_captions(indexed, tmp_path, column):
    (tmp_path / "r").mkdir()
    table = pa.table({"image": [JPEG, JPEG + b"2"], "caption": column})
    pq.write_table(table, tmp_path / "r/a.parquet")
    found, _ = indexed(tmp_path / "r", "parquet")
    assert "caption" not in found
    with pytest.raises(RelianceError, match="captions are text"):
        indexed(tmp_path / "r", "parquet", fields={"caption": "caption"})


def test_a_table_is_the_captions_of_a_folder(indexed, plant, tmp_path):
    root = plant("r", "a.jpg", "b.jpg", "c.jpg")
    table = tmp_path / "captions.csv"
    table.write_text('image,caption\na.jpg,"one, two"\nb,three\na.jpg,four\nz.jpg,none\n')
    found, _ = indexed(root, "folder", captions=table)
    assert found["caption"].tolist() == ["one, two\nfour", "three", ""]
    table.write_text("image,words\na.jpg,x\n")
    with pytest.raises(RelianceError, match="a column that names the image, and one with the text"):
        indexed(root, "folder", captions=table)
    table.write_text("image,text\nz.jpg,x\n")
    with pytest.raises(RelianceError, match="a table of captions lists images of the data set"):
        indexed(root, "folder", captions=table)


def test_names_are_what_captions_share():
    texts = [
        "A cup of tea.",
        "Hot dog; a CUP of tea",
        "hot dog in the sun",
        "the sun",
        "hot-air balloon 2 x",
        "",
    ]
    assert phrases(texts) == ["cup of tea", "hot dog", "sun"]
    assert phrases(["hot dog", "hot dog", "dog"]) == ["dog", "hot dog"]
    assert phrases(["a b\nc d", "b c d"]) == ["b", "c d"]


@given(st.lists(st.text(alphabet="ab c,.\n'3ü", max_size=30), max_size=6))
def test_names_against_a_slow_search(texts):
    spoken = [re.sub(r"([,.\n])", r" \1 ", text.lower().replace("\n", " . ")) for text in texts]
    plain = [f" {' '.join(text.split())} " for text in spoken]
    found = phrases(texts)
    for name in found:
        words = name.split(" ")
        assert 1 <= len(words) <= LONGEST and words[0] not in FILLING and words[-1] not in FILLING
        assert sum(f" {name} " in text for text in plain) > 1
    for word in {word for text in plain for word in text.split() if word.isalpha()} - FILLING:
        shared = sum(f" {word} " in text for text in plain) > 1
        assert shared == any(word in name.split(" ") for name in found)


def test_the_vocabulary_of_a_data_set(indexed, shard, tmp_path):
    files = {}
    for i in range(20):
        files |= {
            f"{i:02}.jpg": JPEG + bytes([i]),
            f"{i:02}.txt": f"a red car {'near a tree' * (i % 2)}".encode(),
        }
    indexed(shard(files), "webdataset")
    count_captions(index=tmp_path / "index.parquet", vocabulary=tmp_path / "captions.txt")
    assert (tmp_path / "captions.txt").read_text() == "red car\ntree\n"


def test_without_captions_there_is_no_such_vocabulary(indexed, plant, tmp_path):
    indexed(plant("r", "a.jpg", "b.jpg"), "folder")
    with pytest.raises(RelianceError, match="images without captions"):
        count_captions(index=tmp_path / "index.parquet", vocabulary=tmp_path / "captions.txt")
