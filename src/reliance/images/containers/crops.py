"""Images inside an HDF5 file, each a data set of bytes: the crops of ISIC 2024."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reliance.base.errors import RelianceError
from reliance.images.source import Held, Unreadable, check_size


def read(at: Held, limit: int) -> bytes:
    """The bytes of an image."""
    with opened_hdf5(at.container) as file:
        if at.name not in file:
            raise Unreadable(f"{at.container.name} has no image of this name any more")
        check_size(_size(file[at.name]), limit)
        return _bytes(file[at.name])


def size(at: Held) -> int:
    """Bytes of an image. Raises FileNotFoundError if it is not there."""
    with opened_hdf5(at.container) as file:
        found = _size(file[at.name]) if at.name in file else None
    if found is None:
        raise FileNotFoundError(at.container / at.name)
    return found


def crop_sizes(path: Path) -> dict[str, int]:
    """Name -> bytes of the image files inside an HDF5 file. Raises RelianceError if it is not one."""
    with opened_hdf5(path) as file:
        return {name: _size(file[name]) for name in file}


def _size(dataset: Any) -> int:
    return int(dataset.dtype.itemsize) if dataset.dtype.kind in "SV" else len(_bytes(dataset))


def _bytes(dataset: Any) -> bytes:
    value = dataset[()]
    return value if isinstance(value, bytes) and dataset.dtype.kind == "O" else np.asarray(value).tobytes()


@contextmanager
def opened_hdf5(path: Path) -> Iterator[Any]:
    """An open HDF5 file. Raises RelianceError without h5py, and for a file that is not one."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise RelianceError(
            path,
            "images inside an HDF5 file are read with the package h5py",
            found="h5py is not installed",
            allowed="an installed h5py, or the images as files",
            next_step="run .venv/bin/python -m pip install h5py, or unpack the images",
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise RelianceError(
            path,
            "an HDF5 file with images can be read",
            found=f"{type(error).__name__}: {error}",
            allowed="the file as it was downloaded",
            next_step="download it again, or restore the disk, and run the same command again",
        ) from error
