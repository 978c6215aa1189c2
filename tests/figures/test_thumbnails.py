import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.figures.thumbnails import (
    CHANGED,
    COLORS,
    DRAWN,
    MISSING,
    UNREADABLE,
    Album,
    Pictured,
    Reading,
    Thumbnail,
    few_colors,
    outlined,
    square,
)

from .pictures import write_dataset


@pytest.fixture
def album(tmp_path):
    data = write_dataset(tmp_path, ["x"], count=6)

    def build(root="images", **settings):
        reading = {"apply_exif": False, "max_pixels": 10_000} | settings
        return Album(Pictured(["home"], [data["index"]], [str(tmp_path / root)]), Reading(**reading))

    build.folder = tmp_path / "images" / "train" / "x"
    return build


def samples(*images):
    return pd.DataFrame({"dataset": "home", "split": "train", "image_id": images, "z": 1.0})


def test_images_come_in_the_order_asked_for_also_twice(album):
    opened = album()
    found = opened.find(samples(4, 1, 4))
    assert found["path"].tolist() == ["train/x/004.png", "train/x/001.png", "train/x/004.png"]
    first, second, third = opened.thumbnails(found, 40)
    assert first.pixels.shape == (40, 40, 3) and first.drawn == DRAWN
    assert (first.pixels == third.pixels).all() and not (first.pixels == second.pixels).all()


def test_files_that_are_not_what_was_indexed_are_not_drawn(album):
    size = (album.folder / "001.png").stat().st_size
    (album.folder / "000.png").unlink()
    (album.folder / "001.png").write_bytes(b"x" * size)
    (album.folder / "002.png").write_bytes(b"x")
    opened = album()
    shown = opened.thumbnails(opened.find(samples(0, 1, 2, 3)), 8)
    assert [picture.drawn for picture in shown] == [MISSING, UNREADABLE, CHANGED, DRAWN]
    assert [picture.pixels is None for picture in shown] == [True, True, True, False]


def test_images_above_the_limit_are_not_decoded(album):
    opened = album(max_pixels=10)
    assert opened.thumbnails(opened.find(samples(0)), 8)[0].drawn == UNREADABLE


def test_a_folder_without_its_images_is_an_error(album):
    with pytest.raises(RelianceError, match="nowhere"):
        album(root="nowhere")
    for path in album.folder.iterdir():
        path.unlink()
    opened = album()
    with pytest.raises(RelianceError, match="nor any other image"):
        opened.thumbnails(opened.find(samples(0, 1)), 8)
    assert opened.thumbnails(opened.find(samples()), 8) == []


@pytest.mark.parametrize("wrong", [{"image_id": 99}, {"split": "test"}, {"dataset": "far"}])
def test_an_image_that_no_index_has_is_an_error(album, wrong):
    with pytest.raises(RelianceError, match="in the index of their data set"):
        album().find(samples(0, 1).assign(**wrong))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (48, 48), (301, 200)])
def test_any_shape_becomes_its_centre(shape):
    pixels = np.zeros((shape[1], shape[0], 3), np.uint8)
    side = min(shape)
    x, y = (shape[0] - side) // 2, (shape[1] - side) // 2
    pixels[y : y + side, x : x + side] = 200
    tile = np.asarray(square(Image.fromarray(pixels), 88))
    assert tile.shape == (88, 88, 3)
    assert (tile[8:-8, 8:-8] > 190).all()


def test_pixels_of_small_images_stay_sharp():
    board = np.indices((4, 4)).sum(0) % 2 * 255
    tile = np.asarray(square(Image.fromarray(np.stack([board] * 3, -1).astype(np.uint8)), 88))
    assert ((tile == 0) | (tile == 255)).all()


def test_few_colours_stay_close_and_are_a_palette():
    x = np.linspace(0, 255, 88)
    smooth = np.stack([np.add.outer(x, x) / 2, np.add.outer(x, -x) / 2 + 128, np.full((88, 88), 90)], -1)
    image = Image.fromarray(smooth.astype(np.uint8))
    pixels = few_colors(image)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) <= COLORS
    assert np.abs(pixels.astype(float) - smooth).mean() < 6
    assert (few_colors(image) == pixels).all()
    plain = Image.new("RGB", (5, 5), (1, 2, 3))
    assert (few_colors(plain) == [1, 2, 3]).all()


def test_a_patch_is_outlined_in_its_place():
    plain = Thumbnail(np.full((40, 40, 3), 128, np.uint8), "yes")
    found = outlined(plain, np.array([0.25, 0.5, 0.5, 0.75])).pixels
    changed = (found != plain.pixels).any(2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 29, 10, 19)
    assert (found[20, 10:20] == 255).all() and (found[21, 11:19] == 0).all()
    assert not changed[22:28, 12:18].any() and (plain.pixels == 128).all()
    assert outlined(plain, np.full(4, np.nan)) is plain
