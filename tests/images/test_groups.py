"""Ids of patients and lesions from a table of one's own."""

import pytest

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images.groups import GROUPS, index_groups, read_ids
from reliance.images.index import index_images
from reliance.images.tables import INDEX


@pytest.fixture
def grouped(plant, tmp_path):
    """grouped(line, ...) gives {(path, kind of id): id} for a CSV of these lines.

    The images are a/0.jpg to a/3.jpg, b/4.png to b/7.png, and c/0.png, c/same.jpg and d/same.jpg.
    """
    paths = [*(f"a/{i}.jpg" for i in range(4)), *(f"b/{i}.png" for i in range(4, 8))]
    root = plant("r", *paths, "c/0.png", "c/same.jpg", "d/same.jpg", "d/other.v2.jpg")
    index = tmp_path / "index.parquet"
    index_images(index=index, classes=tmp_path / "classes.parquet", root=str(root), layout="folder")

    def make(*lines):
        ids, groups = tmp_path / "ids.csv", tmp_path / "groups.parquet"
        ids.write_text("\n".join(lines) + "\n")
        index_groups(index=index, groups=groups, root=str(root), layout="folder", ids=ids)
        known = read_table(index, INDEX).frame[["split", "image_id", "path"]]
        found = read_table(groups, GROUPS).frame.merge(known, on=["split", "image_id"])
        return dict(zip(zip(found["path"], found["name"], strict=True), found["value"], strict=True))

    return make


def test_an_image_is_a_path_or_a_name_with_or_without_its_suffix(grouped):
    found = grouped(
        "image,person,place", "a/0.jpg,P0,", "1,P1,L1", "4.png,P4,L4", "other.v2,P5,", "0.png,P6,"
    )
    assert found == {
        ("a/0.jpg", "person"): "P0",
        ("a/1.jpg", "person"): "P1",
        ("a/1.jpg", "place"): "L1",
        ("b/4.png", "person"): "P4",
        ("b/4.png", "place"): "L4",
        ("d/other.v2.jpg", "person"): "P5",
        ("c/0.png", "person"): "P6",
    }


@pytest.mark.parametrize(
    ("entry", "images"), [("0", {"a/0.jpg", "c/0.png"}), ("same.jpg", {"c/same.jpg", "d/same.jpg"})]
)
def test_a_name_that_images_share_is_refused(grouped, entry, images):
    with pytest.raises(RelianceError, match="is one image") as caught:
        grouped("image,person", "1,P1", f"{entry},P2")
    assert entry in caught.value.found
    assert all(path in caught.value.found for path in images)
    assert "ids.csv" in caught.value.where


def test_shared_names_by_their_paths(grouped):
    found = grouped("image,person", "c/same.jpg,P1", "d/same.jpg,P2")
    assert found == {("c/same.jpg", "person"): "P1", ("d/same.jpg", "person"): "P2"}


def test_a_table_that_lists_none_of_the_images(grouped):
    with pytest.raises(RelianceError, match="lists images of the data set") as caught:
        grouped("image,person", "r/a/0.jpg,P1", "nine,P2", "7,", ",P3")
    assert "none of the 12 images is among the 2 rows" in caught.value.found
    assert "r/a/0.jpg" in caught.value.found
    assert "/" in caught.value.allowed.partition("such as ")[2]
    with pytest.raises(RelianceError, match="among the 0 rows"):
        grouped("image,person", "1,")


def test_a_table_that_lists_other_images_too(grouped, caplog):
    assert grouped("image,person", "1,P1", "nine,P2", "ten,P3") == {("a/1.jpg", "person"): "P1"}
    assert "2 of 3 rows are about no image of the data set, such as nine" in caplog.text


def test_no_warning_if_all_are_known(grouped, caplog):
    grouped("image,person", "1,P1", "2,P1")
    assert "no image" not in caplog.text


def test_short_rows_and_rows_without_an_image(grouped):
    found = grouped("person,image,place", "P0", "", "P1,1", "P2,  ,L2", ",2,L3")
    assert found == {("a/1.jpg", "person"): "P1", ("a/2.jpg", "place"): "L3"}


def test_rows_of_one_image_agree(grouped):
    rows = ["image,person,place", "1,P1,", "a/1.jpg,P1,L1"]
    assert grouped(*rows) == {("a/1.jpg", "person"): "P1", ("a/1.jpg", "place"): "L1"}
    with pytest.raises(RelianceError, match="one id of a kind") as caught:
        grouped(*rows, "1.jpg,P2,")
    assert "person P1 and P2" in caught.value.found


@pytest.mark.parametrize("header", ["file,person", "image", ""])
def test_a_table_of_ids_names_the_image(tmp_path, header):
    (tmp_path / "ids.csv").write_text(header + "\n")
    with pytest.raises(RelianceError, match="names the image"):
        read_ids(tmp_path / "ids.csv")
