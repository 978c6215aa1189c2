"""JPEGs decoded at a part of their size: who is, how near it comes, and that every check stays."""

import io

import numpy as np
import pytest
from PIL import Image

from reliance.images.decode import Images, Reading, Unreadable, load_image

SIZE = 24
PREPROCESS = {
    "size": SIZE,
    "mean": [0.48, 0.45, 0.40],
    "std": [0.26, 0.27, 0.28],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
MAX_PIXELS = 10**6


def picture(width, height, seed=0):
    """Smooth colours, different at each corner, with fine noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray((smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8))


def saved(folder, image, name="x.jpg", **options):
    image.save(folder / name, **options)
    return folder / name


def seen(path, how, transform=None, apply_exif=False, **preprocess):
    """What the encoder sees of a file."""
    reading = Reading("", apply_exif, MAX_PIXELS, transform, how)
    return Images([str(path)], reading, {**PREPROCESS, **preprocess})[0]


def cosine(a, b):
    """Of preprocessed pixels: scaled to 0..1, mean and deviation of the encoder taken out."""
    a, b = (((x / 255 - PREPROCESS["mean"]) / PREPROCESS["std"]).ravel() for x in (a, b))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def check_near(path, at_least=0.999, **how):
    exact, reduced = (seen(path, way, **how) for way in ("exact", "reduced"))
    assert exact.reason == reduced.reason == ""
    assert exact.values.shape == reduced.values.shape
    assert (exact.values != reduced.values).any()
    assert cosine(exact.values, reduced.values) > at_least


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((96, 96), (48, 48)),
        ((95, 300), (95, 300)),  # one side would fall below 48
        ((300, 95), (300, 95)),
        ((191, 210), (96, 105)),
        ((201, 193), (51, 49)),
        ((384, 800), (48, 100)),
        ((800, 800), (100, 100)),  # 1/8 is the least there is
    ],
)
def test_no_side_falls_below_what_is_asked(tmp_path, size, decoded):
    path = saved(tmp_path, picture(*size))
    assert load_image(path, least=48).size == decoded
    assert load_image(path).size == load_image(path, least=0).size == size


@pytest.mark.parametrize("size", [(95, 300), (60, 50), (20, 30), (1, 1)])
def test_jpegs_below_four_times_the_encoders_size_are_the_same(tmp_path, size):
    path = saved(tmp_path, picture(*size))
    np.testing.assert_array_equal(seen(path, "exact").values, seen(path, "reduced").values)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.png", {}),
        ("x.bmp", {}),
        ("x.ppm", {}),
        ("x.gif", {}),
        ("x.webp", {}),
        ("x.tiff", {}),
        ("jpeg_inside.tiff", {"compression": "jpeg"}),
    ],
)
def test_other_formats_are_the_same(tmp_path, name, options):
    path = saved(tmp_path, picture(300, 250), name, **options)
    np.testing.assert_array_equal(load_image(path), load_image(path, least=48))
    np.testing.assert_array_equal(seen(path, "exact").values, seen(path, "reduced").values)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(96, 96), (250, 203), (800, 601)])
def test_a_large_jpeg_comes_near(tmp_path, size, progressive, subsampling):
    options = {"quality": 90, "progressive": progressive, "subsampling": subsampling}
    check_near(saved(tmp_path, picture(*size), **options))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_every_way_of_resizing(tmp_path, mode):
    check_near(saved(tmp_path, picture(400, 200)), resize_mode=mode)


def test_sides_of_an_encoder_that_differ(tmp_path):
    path = saved(tmp_path, picture(190, 190))
    check_near(path, size=(24, 36))
    same = [seen(path, how, size=(24, 48)).values for how in ("exact", "reduced")]
    np.testing.assert_array_equal(*same)  # 190 < 4 x 48


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_are_converted_as_ever(tmp_path, mode):
    path = saved(tmp_path, picture(300, 250).convert(mode), quality=90)
    with Image.open(path) as stored:
        assert stored.mode == mode
    reduced = load_image(path, least=48)
    assert (reduced.mode, reduced.size) == ("RGB", (75, 63))
    check_near(path)
    if mode == "L":
        values = seen(path, "reduced").values
        assert (values == values[..., :1]).all()


def test_a_one_coloured_cmyk_jpeg_keeps_its_colour(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (200, 200), (0, 255, 255, 0)), quality=100)
    found = np.asarray(load_image(path, least=48)).astype(int)
    assert found.shape == (50, 50, 3) and np.abs(found - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, picture(400, 240), exif=exif, quality=95)
    turned = load_image(path, apply_exif=True, least=48)
    assert turned.size == ((100, 60) if orientation < 5 else (60, 100))
    assert load_image(path, least=48).size == (100, 60)
    check_near(path, apply_exif=True)


def test_the_first_picture_of_several_in_one_jpeg(tmp_path):
    """MPO, as phones and stereo cameras write it."""
    second = Image.new("RGB", (300, 250), (255, 0, 0))
    path = saved(tmp_path, picture(300, 250), format="MPO", save_all=True, append_images=[second])
    with Image.open(path) as stored:
        assert stored.format == "MPO"
    assert load_image(path, least=48).size == (75, 63)
    check_near(path)


@pytest.mark.parametrize("delta", [-1.0, 0.5])
def test_a_gain_of_the_image(tmp_path, delta):
    """Values are cut at 255 before or after blocks are averaged: near, not equal."""
    path, gain = saved(tmp_path, picture(400, 300)), {"channel": "red", "delta": delta}
    check_near(path, transform=gain)
    plain, changed = (seen(path, "reduced", transform=t).values for t in (None, gain))
    np.testing.assert_array_equal(plain[..., 1:], changed[..., 1:])
    assert (plain[..., 0] != changed[..., 0]).any()


def test_pixels_are_limited_by_the_header_not_by_what_is_decoded(tmp_path):
    path = saved(tmp_path, picture(160, 160))
    with pytest.raises(Unreadable, match="160 x 160 pixels are more than max_pixels = 25599"):
        load_image(path, max_pixels=160 * 160 - 1, least=16)
    assert load_image(path, max_pixels=160 * 160, least=16).size == (20, 20)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_unreadable_wherever_it_is_cut(tmp_path, progressive):
    whole = io.BytesIO()
    picture(400, 400).save(whole, "JPEG", progressive=progressive)
    content, path = whole.getvalue(), tmp_path / "x.jpg"
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        for least in (0, 48, 100, 200):
            with pytest.raises(Unreadable):
                load_image(path, least=least)


def test_random_damage_never_raises_anything_else(tmp_path):
    rng, whole = np.random.default_rng(1), io.BytesIO()
    picture(200, 200).save(whole, "JPEG")
    for _ in range(40):
        damaged = bytearray(whole.getvalue())
        for at in rng.integers(4, len(damaged), 6):
            damaged[at] = rng.integers(256)
        (tmp_path / "x.jpg").write_bytes(damaged)
        try:
            assert load_image(tmp_path / "x.jpg", max_pixels=MAX_PIXELS, least=48).mode == "RGB"
        except Unreadable as error:
            assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize("mode", ["shortest", "longest"])
def test_thin_strips_are_refused_in_both(tmp_path, mode):
    path = saved(tmp_path, Image.new("RGB", (60000, 2)))
    exact, reduced = (seen(path, how, resize_mode=mode) for how in ("exact", "reduced"))
    assert "too thin" in exact.reason
    assert exact.reason == reduced.reason


def test_another_word_is_refused():
    with pytest.raises(KeyError, match="fast"):
        Images([], Reading("", False, MAX_PIXELS, None, "fast"), PREPROCESS)
