"""Every kind of file a folder of images can hold."""

import errno
import io
import os
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.images.containers.crops import crop_sizes
from reliance.images.decode import (
    Images,
    Reading,
    Unreadable,
    channel_gain,
    crop_of,
    load_image,
)
from reliance.images.source import stored_bytes

GREY = np.linspace(0, 255, 12 * 16).reshape(12, 16).round().astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
PREPROCESS = {
    "size": 8,
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.3, 0.4],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


def saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def pixels(path, **options):
    image = load_image(path, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp"])
def test_lossless_colour_is_exact(tmp_path, suffix):
    path = saved(
        tmp_path, Image.fromarray(COLOUR), f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {})
    )
    np.testing.assert_array_equal(pixels(path), COLOUR)


def test_the_content_decides_not_the_suffix(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOUR), "x.JPEG", format="PNG")
    np.testing.assert_array_equal(pixels(path), COLOUR)


def test_grey_and_one_bit(tmp_path):
    grey = pixels(saved(tmp_path, Image.fromarray(GREY), "grey.png"))
    np.testing.assert_array_equal(grey, np.repeat(GREY[..., None], 3, axis=-1))
    bit = pixels(saved(tmp_path, Image.fromarray(GREY > 100), "bit.png"))
    np.testing.assert_array_equal(bit[..., 0], np.where(GREY > 100, 255, 0))


def test_cmyk_jpeg(tmp_path):
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    found = pixels(saved(tmp_path, cmyk, "x.jpg", quality=100))
    assert np.abs(found.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_is_scaled_not_clipped(tmp_path, suffix):
    deep = GREY.astype(np.uint16) * 257
    found = pixels(saved(tmp_path, Image.fromarray(deep), f"x.{suffix}"))
    np.testing.assert_array_equal(found, np.repeat(GREY[..., None], 3, axis=-1))


def test_32_bit_integers_in_the_16_bit_range_are_scaled(tmp_path):
    found = pixels(saved(tmp_path, Image.fromarray(GREY.astype(np.int32) * 257), "x.tiff"))
    np.testing.assert_array_equal(found[..., 0], GREY)


def test_floats_in_0_to_1_are_scaled_others_refused(tmp_path):
    found = pixels(saved(tmp_path, Image.fromarray((GREY / 255).astype(np.float32)), "x.tiff"))
    np.testing.assert_array_equal(found[..., 0], GREY)
    for name, values in {"big": GREY.astype(np.float32), "nan": np.full((4, 4), np.nan, np.float32)}.items():
        with pytest.raises(Unreadable, match="unknown scale"):
            load_image(saved(tmp_path, Image.fromarray(values), f"{name}.tiff"))


def test_transparency_is_dropped_and_colours_stay(tmp_path):
    rgba = np.dstack([COLOUR, np.zeros_like(GREY)])
    np.testing.assert_array_equal(pixels(saved(tmp_path, Image.fromarray(rgba), "rgba.png")), COLOUR)
    la = np.dstack([GREY, np.full_like(GREY, 7)])
    found = pixels(saved(tmp_path, Image.fromarray(la), "la.png"))
    np.testing.assert_array_equal(found[..., 1], GREY)


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.fromarray(np.tile(np.array([0, 1], np.uint8), (4, 4)), mode="P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    expected = np.tile(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), (4, 4, 1))
    np.testing.assert_array_equal(pixels(saved(tmp_path, image, "p.png")), expected)
    np.testing.assert_array_equal(pixels(saved(tmp_path, image, "t.png", transparency=0)), expected)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, frames[0], f"x.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


def test_exif_orientation_only_when_asked(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    path = saved(tmp_path, Image.fromarray(COLOUR), "x.jpg", exif=exif)
    assert load_image(path).size == (16, 12)
    assert load_image(path, apply_exif=True).size == (12, 16)


def test_one_pixel(tmp_path):
    path = saved(tmp_path, Image.new("L", (1, 1), 9), "x.png")
    assert pixels(path).tolist() == [[[9, 9, 9]]]
    images = Images([str(path)], Reading("", False, 10**6), PREPROCESS)
    assert images[0].values.shape == (8, 8, 3) and images[0].reason == ""


def test_too_many_pixels_are_refused_by_the_header_alone(tmp_path):
    """A bomb: a header that promises 60,000 x 60,000 pixels, and no data."""
    ihdr = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + ihdr + struct.pack(">I", zlib.crc32(b"IHDR" + ihdr))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + idat)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Unreadable, match="60000 x 60000 pixels are more than max_pixels"):
            load_image(path)


def test_pillows_global_limit_is_neither_used_nor_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    path = saved(tmp_path, Image.fromarray(COLOUR), "x.png")
    np.testing.assert_array_equal(pixels(path), COLOUR)
    with pytest.raises(Unreadable):
        load_image(path, max_pixels=12 * 16 - 1)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
def test_truncated_files_are_unreadable(tmp_path, suffix):
    rng = np.random.default_rng(0)
    whole = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
        whole, suffix.replace("jpg", "jpeg")
    )
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(Unreadable):
        load_image(path)


def test_what_is_not_an_image(tmp_path):
    for name, content, reason in [
        ("empty.jpg", b"", "an empty file"),
        ("text.jpg", b"<html>404 not found</html>", "not an image"),
        ("script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Unreadable, match=reason):
            load_image(tmp_path / name)


def test_what_the_disk_does_not_give_is_no_fact_about_the_image(tmp_path, monkeypatch):
    with pytest.raises(RelianceError, match=r"FileNotFoundError: No such(.|\n)*--forcerun index_images"):
        load_image(tmp_path / "missing.jpg")
    path = saved(tmp_path, Image.fromarray(COLOUR), "x.png")
    for number in (errno.EACCES, errno.EIO, errno.ESTALE):

        def fails(_path, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "read_bytes", fails)
        with pytest.raises(RelianceError, match=re.escape(os.strerror(number))) as error:
            load_image(path)
        assert error.value.where == str(path)
        monkeypatch.undo()
    images = Images(["missing.png"], Reading(str(tmp_path), False, 10**6), PREPROCESS)
    assert images[0].reason == "" and isinstance(images[0].failure, RelianceError)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_offsets_out_of_the_file_are_a_fact_about_the_image(tmp_path):
    """Seeking there in a file is an OSError with a number, as if the disk had failed."""
    path = tmp_path / "x.tiff"
    path.write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, 2**63 - 1))  # BigTIFF
    with open(path, "rb") as stream, pytest.raises(OSError, match="Invalid argument"):
        stream.seek(2**63 - 1)
    with pytest.raises(Unreadable):
        load_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_bytes_behind_a_valid_header_never_raise_anything_else(tmp_path):
    rng = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"):
        whole = io.BytesIO()
        Image.fromarray(COLOUR).save(whole, kind)
        for _ in range(20):
            damaged = bytearray(whole.getvalue())
            for at in rng.integers(4, len(damaged), 6):
                damaged[at] = rng.integers(256)
            path = tmp_path / "x"
            path.write_bytes(damaged)
            try:
                assert load_image(path, max_pixels=10**6).mode == "RGB"
            except Unreadable as error:
                assert str(error) and "\n" not in str(error)


def test_images_gives_zeros_and_a_reason_instead_of_an_error(tmp_path):
    saved(tmp_path, Image.fromarray(COLOUR), "good.png")
    (tmp_path / "bad.png").write_bytes(b"")
    images = Images(["good.png", "bad.png"], Reading(str(tmp_path), False, 10**6), PREPROCESS)
    assert len(images) == 2 and images[0].reason == "" and images[0].values.any()
    assert not images[1].values.any() and images[1].values.shape == (8, 8, 3)
    assert images[1].reason == "an empty file (0 bytes)"


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_thin_strips_do_not_eat_memory(tmp_path, mode):
    """1 x 60,000 pixels, short side resized to 224, would be 3 billion pixels."""
    saved(tmp_path, Image.new("RGB", (60000, 1)), "thin.png")
    images = Images(
        ["thin.png"], Reading(str(tmp_path), False, 10**8), {**PREPROCESS, "size": 224, "resize_mode": mode}
    )
    assert images[0].values.shape == (224, 224, 3)
    assert ("too thin" in images[0].reason) == (mode != "squash")


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_crop_is_the_visible_part_of_open_clips_transform(mode, interpolation):
    from open_clip.transform import PreprocessCfg, image_transform_v2

    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (40, 31, 3), dtype=np.uint8))
    preprocess = {**PREPROCESS, "size": 24, "resize_mode": mode, "interpolation": interpolation}
    whole = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)(image).numpy()
    found = np.asarray(crop_of(preprocess)(image)).transpose(2, 0, 1) / np.float32(255)
    mean, std = (np.array(preprocess[k], np.float32)[:, None, None] for k in ("mean", "std"))
    np.testing.assert_allclose((found - mean) / std, whole, atol=1e-6)


def test_channel_gain_by_hand():
    """Eq. 32 on 8 bits: 100 (1 + 1) = 200, 200 (1 + 1) is cut to 255; 100 x 0.8 = 80, 33 x 0.8 = 26.4."""
    pixels = np.array([[[100, 10, 20], [200, 30, 40], [0, 50, 60], [33, 70, 80]]], np.uint8)
    more, less = channel_gain(pixels, "red", -1.0), channel_gain(pixels, "red", 0.2)
    assert more[0, :, 0].tolist() == [200, 255, 0, 66]
    assert less[0, :, 0].tolist() == [80, 160, 0, 26]
    np.testing.assert_array_equal(more[..., 1:], pixels[..., 1:])
    assert more.dtype == np.uint8
    assert pixels[0, 0, 0] == 100


@pytest.mark.parametrize(("channel", "changed"), [("green", [1]), ("blue", [2]), ("all", [0, 1, 2])])
def test_channel_gain_of_other_channels(channel, changed):
    pixels = np.full((2, 3, 3), 100, np.uint8)
    expected = pixels.copy()
    expected[..., changed] = 50
    np.testing.assert_array_equal(channel_gain(pixels, channel, 0.5), expected)


def test_no_gain_changes_nothing_and_too_much_loss_is_black():
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(channel_gain(pixels, "all", 0.0), pixels)
    assert not channel_gain(pixels, "all", 1.0).any()
    assert not channel_gain(pixels, "all", 1.5).any()


def test_an_image_inside_an_hdf5_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    content = io.BytesIO()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(content, "PNG")
    with h5py.File(tmp_path / "crops.hdf5", "w") as file:
        file["one"] = np.void(content.getvalue())
        file["broken"] = np.void(content.getvalue()[:20])
        file.create_dataset("text", data=content.getvalue().hex())
    path = tmp_path / "crops.hdf5"
    assert crop_sizes(path)["one"] == stored_bytes(path / "one") == len(content.getvalue())
    assert load_image(path / "one").getpixel((0, 0)) == (10, 20, 30)
    with pytest.raises(Unreadable):
        load_image(path / "broken")
    with pytest.raises(Unreadable, match="not an image"):
        load_image(path / "text")
    with pytest.raises(Unreadable, match="no image of this name"):
        load_image(path / "gone")
    with pytest.raises(Unreadable, match="more than an image"):
        load_image(path / "one", max_pixels=-1_000_000_000)
    with pytest.raises(FileNotFoundError):
        stored_bytes(path / "gone")
    (tmp_path / "bad.h5").write_bytes(b"no")
    with pytest.raises(RelianceError, match="can be read"):
        crop_sizes(tmp_path / "bad.h5")


def test_h5py_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "crops.hdf5").write_bytes(b"")
    with pytest.raises(RelianceError, match="pip install h5py"):
        load_image(tmp_path / "crops.hdf5" / "one")
