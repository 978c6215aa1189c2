"""ImageNet-Segmentation: a small file as MATLAB 7.3 writes it, unpacked and used as a data set with masks."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from reliance.__main__ import app
from reliance.base.errors import RelianceError
from reliance.images.decode import Reading
from reliance.images.imagenet_segmentation import unpack
from reliance.images.index import index_images
from reliance.lens.masks import MASKS, lens_masks

IDS = ("n01440764_10", "n01440764_9", "n02012849_7")
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (6 + i, 9, 3), dtype=np.uint8) for i in range(3)]  # [h, w, 3]


def inside(i: int) -> np.ndarray:
    found = np.zeros(IMAGES[i].shape[:2], bool)
    found[1:3, 2 : 5 + i] = True
    return found


def made(path: Path, ids: Any = IDS, masks: Any = None, without: str = "") -> Path:
    """What MATLAB writes: cells are references, arrays transposed, letters 16-bit numbers."""
    h5py = pytest.importorskip("h5py")
    masks = masks or [inside(i) for i in range(3)]
    with h5py.File(path, "w") as file:

        def refer(arrays: list[Any]) -> np.ndarray:
            found = np.empty((len(arrays), 1), h5py.ref_dtype)
            for i, array in enumerate(arrays):
                name = f"#refs#/{len(file.get('#refs#', {}))}"
                kind = h5py.ref_dtype if array.dtype.kind == "O" else array.dtype
                found[i, 0] = file.create_dataset(name, data=array, dtype=kind).ref
            return found

        columns = {
            "img": refer([image.T for image in IMAGES]),
            "gt": refer([refer([mask.T.astype(np.uint8)]) for mask in masks]),
            "id": refer([np.array([list(map(ord, name))], np.uint16).T for name in ids]),
        }
        for name, column in columns.items():
            if name != without:
                file.create_dataset(f"value/{name}", data=column, dtype=h5py.ref_dtype)
    return path


def test_images_and_masks_are_those_of_the_file(tmp_path: Path) -> None:
    found = unpack(made(tmp_path / "gt.mat"), tmp_path / "out")
    assert (found.written, found.classes) == (3, 2)
    for i, name in enumerate(IDS):
        at = Path("val", name.partition("_")[0], f"{name}.png")
        np.testing.assert_array_equal(np.asarray(Image.open(found.images / at)), IMAGES[i])
        mask = np.asarray(Image.open(found.masks / at))
        assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
        np.testing.assert_array_equal(mask > 0, inside(i))


def test_what_was_unpacked_is_a_data_set_with_masks(tmp_path: Path) -> None:
    """Beside the images to train on, as docs/lens.md says."""
    found = unpack(made(tmp_path / "gt.mat"), tmp_path / "out")
    for wnid in ("n01440764", "n02012849"):
        (found.images / "train" / wnid).mkdir(parents=True)
        Image.fromarray(IMAGES[0]).save(found.images / "train" / wnid / "0.png")
    index, listed = tmp_path / "index.parquet", tmp_path / "masks.parquet"
    index_images(index=index, classes=tmp_path / "classes.parquet", root=str(found.images), layout="imagenet")
    lens_masks(
        index=index, masks=str(found.masks), listed=listed, reading=Reading(str(found.images)), images=50
    )
    from reliance.base.artifacts import read_table

    frame = read_table(listed, MASKS).frame
    order = sorted(range(3), key=lambda i: IDS[i])
    assert frame["mask"].tolist() == [f"val/{IDS[i].partition('_')[0]}/{IDS[i]}.png" for i in order]
    np.testing.assert_allclose(frame["inside"], [inside(i).mean() for i in order])


def test_the_command_says_where_both_are(tmp_path: Path) -> None:
    file = made(tmp_path / "gt.mat")
    result = CliRunner().invoke(app, ["unpack-masks", str(file), "--to", str(tmp_path / "out")])
    assert result.exit_code == 0 and "3 images of 2 classes" in result.output
    again = CliRunner().invoke(app, ["unpack-masks", str(file), "--to", str(tmp_path / "out")])
    assert again.exit_code == 1 and "has neither yet" in again.output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"without": "gt"}, "no references in value/gt"),
        ({"ids": IDS[:2]}, "3, 3, 2 of img, gt and id"),
        ({"ids": (IDS[0], IDS[0], IDS[2])}, "n01440764_10 twice"),
        ({"ids": (IDS[0], "../../etc_1", IDS[2])}, "the id '../../etc_1'"),
        ({"masks": [inside(0), inside(1), inside(1)]}, "n02012849_7: an image of"),
    ],
)
def test_another_file_is_refused_and_nothing_is_left(tmp_path: Path, wrong: Any, said: str) -> None:
    file = made(tmp_path / "gt.mat", **wrong)
    with pytest.raises(RelianceError, match="ImageNet-Segmentation") as error:
        unpack(file, tmp_path / "out")
    assert said in str(error.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_file_of_another_kind_and_a_missing_h5py_are_named(tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "old.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(RelianceError, match="HDF5"):
        unpack(tmp_path / "old.mat", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RelianceError, match="pip install h5py"):
        unpack(tmp_path / "old.mat", tmp_path / "out")
