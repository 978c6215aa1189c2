"""ImageNet-Segmentation (gtsegs_ijcv.mat, 4,276 images with masks) as a folder of images and one of masks.

The file is HDF5 as MATLAB 7.3 writes it: `value/img`, `value/gt` and `value/id` hold a reference per image.
An image is uint8 [3, width, height], a mask [width, height] behind one cell more, both transposed, as MATLAB
stores columns first; an id such as n01440764_10026 has its letters as 16-bit numbers. Unpacked, both are PNG:

    FOLDER/images/val/n01440764/n01440764_10026.png
    FOLDER/masks/val/n01440764/n01440764_10026.png

which is a data set whose masks `lens.masks` takes (docs/lens.md). Read once, so that there is one way to read
masks.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.base.telling import advance
from reliance.base.writing import atomic
from reliance.images.classes import WNID
from reliance.images.containers.crops import opened_hdf5

ALLOWED = "gtsegs_ijcv.mat as it is downloaded: value/img, value/gt and value/id, a reference per image"


class Unpacked(NamedTuple):
    """What was written."""

    images: Path  # root of a data set without train/
    masks: Path
    written: int  # images
    classes: int


def unpack(file: Path, folder: Path) -> Unpacked:
    """Write the images and masks of a .mat file below a folder that has neither yet.

    Raises RelianceError without h5py, for another file, or where something would be written over.
    """
    made = Unpacked(folder / "images", folder / "masks", 0, 0)
    for path in (made.images, made.masks):
        if path.exists():
            raise RelianceError(
                path,
                "images and masks are unpacked into a folder that has neither yet",
                found="it is there",
                allowed="a new folder",
                next_step="name another folder, or move this one away",
            )
    names = set[str]()
    with atomic(made.images) as images, atomic(made.masks) as masks:
        for name, pixels, mask in _read(file):
            if name in names:
                raise _refused(file, f"the id {name} twice")
            names.add(name)
            for root, values in ((images, pixels), (masks, mask)):
                to = root / "val" / name.partition("_")[0] / f"{name}.png"
                to.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(to)
    return made._replace(written=len(names), classes=len({name.partition("_")[0] for name in names}))


def _read(file: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(id, image uint8 [h, w, 3], mask uint8 [h, w]) of every image of the file."""
    with opened_hdf5(file) as mat:
        columns = [_column(file, mat, name) for name in ("img", "gt", "id")]
        if len({len(column) for column in columns}) > 1 or not len(columns[0]):
            raise _refused(file, f"{', '.join(str(len(column)) for column in columns)} of img, gt and id")
        for place, (image, truth, said) in enumerate(zip(*columns, strict=True)):
            advance(place, len(columns[0]), "images")
            name = _name(file, mat, place, said)
            pixels, mask = _picture(file, mat, place, image), _mask(file, mat, place, truth)
            if pixels.shape[:2] != mask.shape:
                raise _refused(file, f"{name}: an image of {pixels.shape} and a mask of {mask.shape}")
            yield name, pixels, mask


def _column(file: Path, mat: Any, name: str) -> np.ndarray:
    """References of a field, one per image."""
    field = mat.get(f"value/{name}")
    if field is None or not hasattr(field, "dtype") or field.dtype.kind != "O":
        raise _refused(file, f"no references in value/{name}")
    found: np.ndarray = np.asarray(field).reshape(-1)  # a row or a column of cells
    return found


def _picture(file: Path, mat: Any, place: int, cell: Any) -> np.ndarray:
    """uint8 [h, w, 3]."""
    values = np.asarray(mat[cell])
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or (values.ndim == 3 and len(values) != 3):
        raise _refused(file, f"image {place} is {values.dtype} {values.shape}")
    return np.ascontiguousarray(values.T if values.ndim == 3 else np.repeat(values.T[..., None], 3, 2))


def _mask(file: Path, mat: Any, place: int, cell: Any) -> np.ndarray:
    """uint8 [h, w], 255 inside: of several masks of an image the first, as the public code takes it."""
    values = np.asarray(mat[cell])
    if values.dtype.kind == "O":
        values = np.asarray(mat[values.reshape(-1)[0]])
    if values.dtype.kind not in "uib" or values.ndim != 2:
        raise _refused(file, f"the mask of image {place} is {values.dtype} {values.shape}")
    return np.ascontiguousarray(((values != 0) * 255).astype(np.uint8).T)


def _name(file: Path, mat: Any, place: int, cell: Any) -> str:
    """An id as text, which begins with a WordNet id."""
    values = np.asarray(mat[cell]).reshape(-1)
    name = "".join(map(chr, values.tolist())).strip() if values.dtype == np.uint16 else ""
    wnid, _, rest = name.partition("_")
    if not WNID.fullmatch(wnid) or not rest.isalnum():
        raise _refused(file, f"the id {name!r} of image {place}")
    return name


def _refused(file: Path, found: str) -> RelianceError:
    return RelianceError(
        file,
        "a .mat file that is unpacked is that of ImageNet-Segmentation",
        found=found,
        allowed=ALLOWED,
        next_step="download it again; images and masks that are files need no unpacking (lens.masks)",
    )
