"""Grey images of 10, 12 and 14 bits in files of 16."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from reliance.images import depth
from reliance.images.decode import Unreadable, load_image


def png(pixels, bits=None):
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint16)).save(stream, "PNG")
    content = stream.getvalue()
    if bits is None:
        return content
    body = b"sBIT" + bytes([bits])
    return content[:33] + struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body)) + content[33:]


def tiff(pixels, largest=None):
    stream = io.BytesIO()
    info = {} if largest is None else {281: largest}
    Image.fromarray(pixels.astype(np.uint16)).save(stream, "TIFF", tiffinfo=info)
    return stream.getvalue()


def read(folder, content):
    (folder / "x").write_bytes(content)
    return np.asarray(load_image(folder / "x"))[..., 0]


def ramp(bits):
    return np.linspace(0, 2**bits - 1, 48).round().reshape(6, 8)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_the_depth_that_a_file_says_is_white(tmp_path, bits, kind):
    pixels = ramp(bits)
    content = png(pixels, bits) if kind == "png" else tiff(pixels, 2**bits - 1)
    np.testing.assert_array_equal(read(tmp_path, content), np.rint(pixels * (255 / (2**bits - 1))))


@pytest.mark.parametrize("make", [png, tiff, lambda p: png(p, 16), lambda p: tiff(p, 65535)])
def test_without_one_or_with_the_whole_it_is_16_bits(tmp_path, make):
    pixels = ramp(16)
    np.testing.assert_array_equal(read(tmp_path, make(pixels)), np.rint(pixels * (255 / 65535)))


def test_values_above_the_depth_are_refused(tmp_path):
    with pytest.raises(Unreadable, match="unknown scale"):
        read(tmp_path, png(ramp(13), 12))


@pytest.mark.parametrize(("make", "warned"), [(png, True), (lambda p: png(p, 12), False)])
def test_a_dark_image_of_unknown_depth_is_warned_of_once(tmp_path, caplog, monkeypatch, make, warned):
    monkeypatch.setattr(depth, "_said", [])
    for _ in range(2):
        read(tmp_path, make(ramp(12)))
    assert len([r for r in caplog.records if "4095 of 65535" in r.getMessage()]) == warned
