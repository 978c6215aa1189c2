"""The index: its rows, its order, its identity."""

import numpy as np
import pytest

from reliance.base.artifacts import derived_stamp, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.images.index import gather_excluded, index_images
from reliance.images.tables import CLASSES, EXCLUDED, INDEX, read_split


@pytest.fixture
def index(tmp_path):
    """index(root, layout, ...) runs the stage and gives (index path, index table, classes table)."""

    def make(root, layout="folder", **settings):
        paths = {"index": tmp_path / "out" / "index.parquet", "classes": tmp_path / "out" / "classes.parquet"}
        index_images(**paths, root=str(root), layout=layout, **settings)
        return paths["index"], read_table(paths["index"], INDEX), read_table(paths["classes"], CLASSES)

    return make


def test_rows_are_sorted_and_numbered_within_their_split(plant, index):
    root = plant("r", "train/b/2.jpg", "train/b/1.jpg", "train/a/9.jpg", "test/c/1.jpg", "test/a/5.jpg")
    (root / "train/a/9.jpg").write_bytes(b"")
    _, table, classes = index(root)
    assert (table.frame.pop("modified") > 10**18).all()
    rows = list(table.frame.itertuples(index=False, name=None))
    assert rows == [
        ("test", 0, "test/a/5.jpg", 0, 3),
        ("test", 1, "test/c/1.jpg", 2, 3),
        ("train", 0, "train/a/9.jpg", 0, 0),
        ("train", 1, "train/b/1.jpg", 1, 3),
        ("train", 2, "train/b/2.jpg", 1, 3),
    ]
    assert table.frame["class_id"].dtype == np.int32 and table.frame["image_id"].dtype == np.int64
    assert classes.frame["folder"].tolist() == ["a", "b", "c"]


def test_class_ids_follow_the_class_not_the_path(plant, index):
    """Sorting by path alone would put class 10 before class 9 where ids and names disagree."""
    root = plant("r", *(f"train/k{i:02}/x.jpg" for i in range(12)), "test/k11/x.jpg")
    _, table, _ = index(root)
    train = table.frame[table.frame["split"] == "train"]
    assert train["class_id"].tolist() == list(range(12))


def test_images_without_classes(plant, index):
    _, table, classes = index(plant("r", "1.jpg", "2.jpg", "3.jpg"), split={"test": 0.3, "seed": 0})
    assert set(table.frame["class_id"]) == {-1} and classes.frame.empty


def test_per_class_keeps_the_first_of_each_class_and_split(plant, index):
    paths = [f"{s}/{k}/{i}.jpg" for s in ("train", "test") for k in "ab" for i in range(4)]
    _, table, _ = index(plant("r", *paths), per_class=2)
    expected = [f"{s}/{k}/{i}.jpg" for s in ("test", "train") for k in "ab" for i in range(2)]
    assert table.frame["path"].tolist() == expected


def test_names_are_read_only_where_they_are_given(plant, index, tmp_path):
    root = plant("r", "a/1.jpg", "a/2.jpg")
    (root / "names.csv").write_text('folder,short_name,full_name\na,tench,"tench, fish"\n')
    assert index(root)[2].frame["full_name"].tolist() == ["a"]
    assert index(root, names=root / "names.csv")[2].frame["full_name"].tolist() == ["tench, fish"]
    (tmp_path / "mine.csv").write_text("folder,short_name,full_name\na,crane,crane\n")
    assert index(root, names=str(tmp_path / "mine.csv"))[2].frame["short_name"].tolist() == ["crane"]


def test_identity_follows_the_content_not_the_place(plant, index, tmp_path):
    root = plant("r", "train/a/1.jpg", "test/a/1.jpg")
    first = index(root)[1].stamp
    moved = root.rename(tmp_path / "elsewhere")
    assert index(moved)[1].stamp.id == first.id
    (tmp_path / "names.csv").write_text("folder,short_name,full_name\na,crane,crane\n")
    _, table, classes = index(moved, names=tmp_path / "names.csv")
    assert table.stamp.id == first.id  # names do not re-embed images
    assert classes.frame["short_name"].tolist() == ["crane"]
    (moved / "train/a/1.jpg").write_bytes(b"longer than before")
    assert index(moved)[1].stamp.id != first.id
    (tmp_path / "plants.json").write_text("{}")
    assert index(moved, plants=tmp_path / "plants.json")[1].stamp.id != index(moved)[1].stamp.id


def test_cases_use_the_classes_of_their_data_set(plant, index, tmp_path):
    _, _, classes = index(plant("data", "a/1.jpg", "b/1.jpg", "a/2.jpg"))
    known = tmp_path / "known.parquet"
    write_table(known, classes.frame, CLASSES, {}, {})
    root = plant("r", "1_b_7/x.jpg", "1_b_2/y.jpg", "0_a_1/z.jpg")
    _, table, copied = index(root, "cases", classes_from=known)
    assert table.frame["class_id"].tolist() == [0, 1, 1]
    assert table.frame["path"].tolist() == ["0_a_1/z.jpg", "1_b_2/y.jpg", "1_b_7/x.jpg"]
    assert set(table.frame["split"]) == {"cases"}
    assert copied.frame.equals(classes.frame)


def test_nothing_found(plant, index, tmp_path):
    with pytest.raises(RelianceError, match=r"datasets.mine.root .*\n.*readme.txt.*\n.*jpg, .jpeg, .jfif"):
        index(plant("r", "readme.txt"), dataset="mine")
    with pytest.raises(RelianceError, match="an empty folder"):
        index(plant("empty"))
    with pytest.raises(RelianceError, match="must be an existing folder"):
        index(tmp_path / "nowhere")
    with pytest.raises(RelianceError, match="parquet, webdataset, zip, planted, cases"):
        index(plant("r"), "hdf5")
    assert not (tmp_path / "out" / "index.parquet").exists()


def test_read_split_names_the_splits_there_are(plant, index):
    path, table, _ = index(plant("r", "train/a/1.jpg", "test/a/1.jpg"))
    rows = read_split(path, "train")
    assert rows.paths.tolist() == ["train/a/1.jpg"] and rows.class_ids.tolist() == [0]
    assert rows.stamp == table.stamp
    with pytest.raises(RelianceError, match="allowed: test, train"):
        read_split(path, "val")


def embedded(folder, rows, index_id, excluded):
    """A manifest of embeddings with some rows excluded."""
    inputs = {"index": index_id, "weights": "w"}
    part = folder / "part-0-of-1.zarr"
    writer = PartWriter(part, "embeddings", PartRange(0, rows), {"x": Layout((2,), "float32")}, {}, inputs)
    writer.append({"x": np.zeros((rows, 2), np.float32)}, excluded)
    writer.finish()
    write_manifest(folder / "manifest.json", [part], "embeddings")
    return folder / "manifest.json"


def test_gather_excluded(plant, index, tmp_path):
    root = plant("r", "train/a/1.jpg", "train/a/2.jpg", "test/a/1.jpg")
    (root / "train/a/3.jpg").symlink_to(tmp_path / "nothing.jpg")
    path, table, _ = index(root)
    manifests = [
        embedded(tmp_path / "train", 2, table.stamp.id, [(1, "cut off")]),
        embedded(tmp_path / "test", 1, table.stamp.id, []),
    ]
    out = tmp_path / "excluded.parquet"
    gather_excluded(index=path, manifests=manifests, excluded=out, splits=["train", "test"])
    assert list(read_table(out, EXCLUDED).frame.itertuples(index=False, name=None)) == [
        ("", -1, "train/a/3.jpg", "a link to nothing"),
        ("train", 1, "train/a/2.jpg", "cut off"),
    ]
    other = embedded(tmp_path / "other", 2, derived_stamp("index", 1, {"x": 1}, {}).id, [])
    with pytest.raises(RelianceError, match="must come from the same index"):
        gather_excluded(index=path, manifests=[other], excluded=out, splits=["train"])


def test_gather_excluded_of_nothing(plant, index, tmp_path):
    path, table, _ = index(plant("r", "train/a/1.jpg", "test/a/1.jpg"))
    manifest = embedded(tmp_path / "train", 1, table.stamp.id, [])
    gather_excluded(index=path, manifests=[manifest], excluded=tmp_path / "e.parquet", splits=["train"])
    assert read_table(tmp_path / "e.parquet", EXCLUDED).frame.empty
