"""Nothing that lies below a root vanishes without a word."""

import io
import logging

import pytest
from PIL import Image

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_about
from reliance.images.index import index_images
from reliance.images.layouts import Looking
from reliance.images.tables import INDEX, tolerated

CLEAN = [f"{k}/{i}.jpg" for k in ("cat", "dog") for i in range(6)]


@pytest.fixture
def listed(tmp_path):
    """listed(root) gives (paths, {path: reason} of what is left out, what is said about the rest)."""

    def run(root, layout="folder", **settings):
        out = {name: tmp_path / f"{name}.parquet" for name in ("index", "classes")}
        index_images(**out, root=str(root), layout=layout, dataset="mine", **settings)
        table = read_table(out["index"], INDEX)
        return sorted(table.frame["path"]), dict(table.stamp.params["left_out"]), read_about(out["index"])

    return run


def jpeg():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


def outside(root, name="x.jpg"):
    folder = root.parent / "outside"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"abc")
    return folder


CASES = {
    "avif": (lambda r: (r / "cat/x.avif").write_bytes(b"x"), "cat/x.avif", "ending in .avif are not read"),
    "heic": (lambda r: (r / "cat/x.HEIC").write_bytes(b"x"), "cat/x.HEIC", "ending in .heic are not read"),
    "no suffix": (lambda r: (r / "cat/x").write_bytes(jpeg()), "cat/x", "does not end like that of one"),
    "a strange suffix": (
        lambda r: (r / "cat/x.jpg.1").write_bytes(jpeg()), "cat/x.jpg.1", "does not end like that of one",
    ),
    "a link to nothing": (
        lambda r: (r / "cat/x.jpg").symlink_to("/no/where.jpg"), "cat/x.jpg", "a link to nothing",
    ),
    "a link out of the root": (
        lambda r: (r / "cat/x.jpg").symlink_to(outside(r) / "x.jpg"), "cat/x.jpg", "a link out of",
    ),
    "a link to a folder": (
        lambda r: (r / "cat/more").symlink_to(outside(r)), "cat/more", "a link to a folder",
    ),
    "a class that is a link to nothing": (
        lambda r: (r / "owl").symlink_to("/no/where"), "owl", "a link to nothing",
    ),
    "beside class folders": (lambda r: (r / "x.jpg").write_bytes(b"x"), "x.jpg", "lies beside class folders"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_out_is_said_and_counts(plant, listed, caplog, case):
    make, path, reason = CASES[case]
    root = plant("r", *CLEAN)
    make(root)
    paths, left_out, _ = listed(root, looking=Looking(False))
    assert paths == CLEAN and list(left_out) == [path] and reason in left_out[path]
    said = [r for r in caplog.records if r.levelno == logging.WARNING and getattr(r, "told", False)]
    assert any(f"1 of 13 are left out (1: {left_out[path]}), such as {path}" in r.getMessage() for r in said)
    with pytest.raises(RelianceError, match="max_invalid") as caught:
        listed(root, max_invalid=0, looking=Looking(False))
    assert path in caught.value.found and "max_invalid to 1" in caught.value.next_step


def test_too_many_are_refused_and_a_number_may_be_allowed(plant, listed):
    root = plant("r", *CLEAN, *(f"cat/{i}.heic" for i in range(3)))
    with pytest.raises(RelianceError, match="3 of 15 are left out") as caught:
        listed(root)
    assert "convert images" in caught.value.next_step
    assert len(listed(root, max_invalid=3)[1]) == 3


def test_a_class_of_links_does_not_vanish(plant, listed, caplog):
    root = plant("r", *CLEAN)
    (root / "owl").mkdir()
    for i in range(4):
        (root / f"owl/{i}.jpg").symlink_to(outside(root, f"{i}.jpg") / f"{i}.jpg")
    with pytest.raises(RelianceError, match="4 of 16 are left out"):
        listed(root, looking=Looking(False))
    assert "class folder owl has no images and is ignored, because its images (4)" in caplog.text
    assert any("owl" in line for line in listed(root, max_invalid=4, looking=Looking(False))[2]["told"])


def test_what_is_no_image_is_counted_by_suffix(plant, listed, caplog):
    caplog.set_level(logging.INFO)
    root = plant(
        "r", *CLEAN, "cat/0.txt", "cat/1.txt", "dog/notes", "list.csv", "empty/readme.md", "@eaDir/cat/0.jpg"
    )
    paths, left_out, about = listed(root)
    assert paths == CLEAN and not left_out
    assert about["no_images"] == {".txt": 2, ".csv": 1, ".md": 1, "without suffix": 1}
    assert "12 images (10 train, 2 test) in 2 classes; no images, and passed over: 2 .txt" in caplog.text
    assert caplog.text.rstrip().endswith(", @eaDir")
    assert any("class folder empty has no images" in line for line in about["told"])


def test_a_table_of_names_in_the_root_is_used_not_left_out(plant, listed):
    root = plant("r", *CLEAN, "other.csv")
    (root / "names.csv").write_text("folder,short_name,full_name\ncat,cat,a cat\ndog,dog,a dog\n")
    assert listed(root, names=root / "names.csv")[2]["no_images"] == {".csv": 1}
    assert listed(root)[2]["no_images"] == {".csv": 2}


def test_the_index_of_a_clean_folder_says_nothing_more(plant, listed, tmp_path):
    """Its bytes are those of a table that nothing is said about."""
    root = plant("r", *(f"{s}/{k}/1.png" for s in ("train", "test") for k in "ab"))
    assert listed(root, "planted")[1:] == ({}, {"root": str(root)})
    table = read_table(tmp_path / "index.parquet", INDEX)
    write_table(
        tmp_path / "again.parquet", table.frame, INDEX, table.stamp.params, {}, about={"root": str(root)}
    )
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "index.parquet").read_bytes()
    assert set(table.stamp.params) == {"layout", "content", "left_out"}


def test_rows_of_isic_without_an_image_count(plant, listed):
    root = plant(
        "r", *(f"a/ISIC_{i:02}_downsampled.jpg" for i in range(6)), *(f"a/ISIC_{i}.jpg" for i in range(6, 18))
    )
    names = [f"ISIC_{i:02}" for i in range(6)] + [f"ISIC_{i}" for i in range(6, 18)]
    rows = [f"{name},{i % 2},{1 - i % 2}" for i, name in enumerate(names)]
    (root / "truth.csv").write_text("\n".join(["image,MEL,NV", *rows]) + "\n")
    with pytest.raises(RelianceError, match="6 of 18 are left out") as caught:
        listed(root, "isic")
    assert "compare the names in the table" in caught.value.next_step
    paths, left_out, about = listed(root, "isic", max_invalid=6)
    assert len(paths) == 12 and len(left_out) == 12
    assert "6 images are not in the ground truth" in about["told"][0]


def test_a_class_of_isic_without_images_is_said(plant, listed, caplog):
    root = plant("r", *(f"a/{i}.jpg" for i in range(8)))
    rows = [f"{i},1,0,0" if i % 2 else f"{i},0,1,0" for i in range(8)]
    (root / "truth.csv").write_text("\n".join(["image,MEL,NV,DF", *rows, "gone,0,0,1"]) + "\n")
    assert len(listed(root, "isic")[0]) == 8
    assert "class DF has no images in the split train" in caplog.text


@pytest.mark.parametrize(
    ("max_invalid", "images", "expected"), [(0, 100, 0), (0.001, 100, 1), (0.001, 5000, 5), (7, 100, 7)]
)
def test_tolerated(max_invalid, images, expected):
    assert tolerated(max_invalid, images) == expected
