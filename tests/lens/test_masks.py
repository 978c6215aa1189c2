"""Masks in a folder: which pixels are inside, what is refused, and the geometry of the encoder."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.images.decode import Reading, crop_of
from reliance.images.index import index_images
from reliance.lens.masks import MASKS, crop_of_masks, lens_masks, mask_of, masks_seen, read_mask

PREPROCESS = {
    "size": 24,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
WIDTH, HEIGHT = 96, 48


def drawn(left: int, right: int, top: int, bottom: int) -> np.ndarray:
    """A rectangle bool [48, 96]."""
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[top:bottom, left:right] = True
    return found


def test_a_mask_is_resized_and_cropped_as_its_image() -> None:
    """96 x 48 to 48 x 24, of which the middle 24 columns are seen: column x becomes x / 2 - 12."""
    crop = crop_of_masks(PREPROCESS)
    expected = np.zeros((24, 24), bool)
    expected[5:15, 3:13] = True
    np.testing.assert_array_equal(crop(drawn(30, 50, 10, 30)), expected)
    assert not crop(drawn(0, 24, 0, 48)).any() and crop(drawn(24, 72, 0, 48)).all()


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [24, (24, 36)])
def test_what_is_white_in_a_picture_is_where_its_mask_is(mode: str, size: Any) -> None:
    preprocess = {**PREPROCESS, "resize_mode": mode, "size": size, "fill_color": 255}
    mask = drawn(26, 62, 8, 34)
    white = Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB")
    picture = np.asarray(crop_of({**preprocess, "fill_color": 0})(white))[..., 0] > 127
    found = crop_of_masks(preprocess)(mask)
    assert found.shape == picture.shape
    assert (found != picture).mean() < 0.03  # edges that fall between pixels
    assert found.any() and not found.all()


def test_any_pixel_that_is_not_0_is_inside(tmp_path: Path) -> None:
    grey = np.zeros((3, 4), np.uint8)
    grey[0, 1], grey[2, 3] = 1, 255
    palette = Image.fromarray(grey, "P")
    palette.putpalette([200, 100, 50] + [0, 0, 0] * 255)  # number 0 is outside, whatever its colour
    colour, alpha = np.zeros((3, 4, 3), np.uint8), np.full((3, 4), 255, np.uint8)
    colour[0, 1, 2], colour[2, 3, 0] = 9, 7
    files = {
        "L": Image.fromarray(grey),
        "1": Image.fromarray(grey > 0),
        "P": palette,
        "I;16": Image.fromarray(grey.astype(np.uint16) * 256),
        "RGB": Image.fromarray(colour),
        "RGBA": Image.fromarray(np.dstack([colour, alpha])),
        "LA": Image.fromarray(np.dstack([grey, alpha]), "LA"),
    }
    for mode, image in files.items():
        image.save(tmp_path / "m.png")
        assert Image.open(tmp_path / "m.png").mode == mode
        np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (4, 3))[0], grey > 0, err_msg=mode)


def test_a_mask_whose_low_bits_would_be_lost_is_refused(tmp_path: Path) -> None:
    """Pillow keeps the high byte of 16-bit colours: a mask of ones would be all outside."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body).to_bytes(4)
        return len(body).to_bytes(4) + kind + body + check

    head = (2).to_bytes(4) + (1).to_bytes(4) + bytes([16, 2, 0, 0, 0])
    pixels = zlib.compress(bytes([0, 0, 1, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255]))
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert np.asarray(Image.open(tmp_path / "m.png")).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    with pytest.raises(RelianceError, match="16 bits per colour"):
        read_mask(tmp_path / "m.png", (2, 1))


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path, Path]:
    """(root, index, masks) of four test images of two classes with a mask each."""
    rng = np.random.default_rng(0)
    root, masks = tmp_path / "images", tmp_path / "masks"
    for split, suffix in (("train", "png"), ("test", "jpg")):
        for name in ("a", "b"):
            for folder in (root / split / name, masks / split / name):
                folder.mkdir(parents=True)
            for i in range(2):
                pixels = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.{suffix}")
                mask = drawn(30 + i, 50, 10, 30).astype(np.uint8)
                Image.fromarray(mask).save(masks / split / name / f"{i}.png")
    index_images(
        index=tmp_path / "index.parquet",
        classes=tmp_path / "classes.parquet",
        root=str(root),
        layout="folder",
    )
    return root, tmp_path / "index.parquet", masks


def listed(data: tuple[Path, Path, Path], images: int = 5000) -> Path:
    root, index, masks = data
    path = index.parent / "masks.parquet"
    lens_masks(index=index, masks=str(masks), listed=path, reading=Reading(str(root)), images=images)
    return path


def test_masks_are_listed_and_seen(data: tuple[Path, Path, Path]) -> None:
    table = read_table(listed(data), MASKS)
    assert table.frame["mask"].tolist() == [f"test/{name}/{i}.png" for name in "ab" for i in range(2)]
    np.testing.assert_allclose(table.frame["inside"], [400 / 4608, 380 / 4608] * 2)
    seen = masks_seen(table.frame, data[2], PREPROCESS)(np.array([0, 3]))
    expected = np.zeros((24, 24), bool)
    expected[5:15, 3:13] = True
    np.testing.assert_array_equal(seen[0], expected)
    assert mask_of("val/x.y/a.b.JPEG") == "val/x.y/a.b.png"


def test_the_identity_is_that_of_the_masks(data: tuple[Path, Path, Path]) -> None:
    before = read_table(listed(data), MASKS).stamp
    assert read_table(listed(data), MASKS).stamp == before
    path = data[2] / "test/a/0.png"
    Image.fromarray(drawn(31, 50, 10, 30).astype(np.uint8)).save(path)
    table = read_table(listed(data), MASKS)
    assert table.stamp.id != before.id
    Image.fromarray(drawn(32, 50, 10, 30).astype(np.uint8)).save(path)
    with pytest.raises(RelianceError, match="forcerun lens_masks"):
        masks_seen(table.frame, data[2], PREPROCESS)(np.array([0]))


def test_only_images_that_are_segmented_need_a_mask(data: tuple[Path, Path, Path]) -> None:
    (data[2] / "test/a/1.png").unlink()
    assert len(read_table(listed(data, images=2), MASKS).frame) == 2  # the first and the last
    with pytest.raises(RelianceError, match=r"none for 1 of 4 images, such as test/a/1\.png"):
        listed(data)


def test_the_size_is_that_of_the_image_as_it_is_read(data: tuple[Path, Path, Path]) -> None:
    """With its EXIF orientation, an image that lies on its side stands up."""
    root, index, masks = data
    turned = Image.new("RGB", (HEIGHT, WIDTH)).getexif()
    turned[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(root / "test/a/0.jpg", exif=turned)
    index_images(index=index, classes=index.parent / "classes.parquet", root=str(root), layout="folder")
    path = index.parent / "masks.parquet"
    arguments = {"index": index, "masks": str(masks), "listed": path, "images": 4}
    lens_masks(**arguments, reading=Reading(str(root), apply_exif=True))
    assert read_table(path, MASKS).stamp.params["apply_exif"] is True
    with pytest.raises(RelianceError, match="96 x 48 pixels, but its image has 48 x 96 pixels"):
        lens_masks(**arguments, reading=Reading(str(root)))


def spoil(kind: str, masks: Path, root: Path) -> None:
    path = masks / "test/b/0.png"
    if kind == "size":
        Image.fromarray(np.ones((WIDTH, HEIGHT), np.uint8)).save(path)
    elif kind == "empty":
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(path)
    elif kind == "damaged":
        path.write_bytes(path.read_bytes()[:60])
    elif kind == "jpeg":
        Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint8)).save(path, "JPEG")
    else:
        masks.rename(masks.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("size", "48 x 96 pixels, but its image has 96 x 48 pixels"),
        ("empty", "every pixel is 0"),
        ("damaged", "Error"),
        ("jpeg", "UnidentifiedImageError"),
        ("folder", "no such folder"),
    ],
)
def test_what_is_no_mask_is_refused(data: tuple[Path, Path, Path], kind: str, said: str) -> None:
    spoil(kind, data[2], data[0])
    with pytest.raises(RelianceError, match="masks fit the images") as error:
        listed(data)
    assert said in str(error.value) and str(error.value).startswith("lens.masks: ")
    assert kind == "folder" or "test/b/0.png" in str(error.value)


def test_two_images_with_one_mask_are_refused(data: tuple[Path, Path, Path]) -> None:
    root, index, _ = data
    Image.open(root / "test/a/0.jpg").save(root / "test/a/0.png")
    index_images(index=index, classes=index.parent / "classes.parquet", root=str(root), layout="folder")
    with pytest.raises(RelianceError, match=r"the mask of 2 images: test/a/0.jpg, test/a/0.png"):
        listed(data)


def test_an_image_that_cannot_be_read_is_left_out(
    data: tuple[Path, Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    root, index, _ = data
    path = root / "test/a/0.jpg"
    path.write_bytes(b"\xff\xd8\xff" + bytes(50))
    index_images(index=index, classes=index.parent / "classes.parquet", root=str(root), layout="folder")
    table = read_table(listed(data), MASKS)
    assert table.frame["image_id"].tolist() == [1, 2, 3] and table.stamp.params["left_out"] == 1
    assert "images that cannot be read are left out: 1, such as test/a/0.jpg" in caplog.text
