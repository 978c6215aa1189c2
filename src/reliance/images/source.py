"""Where the bytes of an image lie, and how they are read: the one place that opens images of a data set.

An image is a file below the root, or it lies in a container, which the index says in its column `place`:
"CONTAINER#WHERE", the path of the container below the root and numbers for the module of its kind. A path
"crops.hdf5/NAME" is the image of that name in an HDF5 file. Each read checks that it gave what was indexed,
or fails: so the code of containers does not count among what an embedding was made with.
"""

import hashlib
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from reliance.base.entry import imported
from reliance.base.errors import RelianceError, run_again

HDF5 = (".hdf5", ".h5")
# Suffix of a container -> function of (file, name of the image, where in the container, most bytes).
CONTAINERS = {
    ".tar": "reliance.images.containers.tar:read",
    ".zip": "reliance.images.containers.zipped:read",
    ".parquet": "reliance.images.containers.columns:read",
    **dict.fromkeys(HDF5, "reliance.images.containers.crops:read"),
}


class Unreadable(Exception):  # noqa: N818 - a fact about a file, not a failure of the program
    """An image that cannot be used; the message is the reason, on one line."""


class Held(NamedTuple):
    """An image in a container."""

    container: Path
    name: str  # of the image, for messages
    where: str  # for the module of the container's kind

    def __str__(self) -> str:
        return f"{self.container}: {self.name}"


Located = str | Path | Held


class Handle:
    """An open file for reads at any place, also by several threads; closed with the last who has it."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)

    def read(self, start: int, count: int) -> bytes:
        """At most `count` bytes from `start`; fewer only at the end of the file."""
        found = os.pread(self.number, count, start)
        while len(found) < count and (more := os.pread(self.number, count - len(found), start + len(found))):
            found += more
        return found


def located(root: str | Path, path: str, place: str = "") -> Path | Held:
    """An image of an index, by its path and place."""
    container, mark, where = place.rpartition("#")
    if mark:
        return Held(Path(root, container), path, where)
    file = Path(root, path)
    return Held(file.parent, file.name, "") if _in_hdf5(file) else file


def read_image(at: Located, limit: int) -> bytes:
    """All bytes of an image, before anything looks at them: what fails here is the disk, not the image.

    A pipe, which would be waited for, and a file too large to be an image are not opened: Unreadable. Raises
    RelianceError if the file is gone, or a container is no longer the one that was indexed.
    """
    at = at if isinstance(at, Held) else located("", str(at))
    try:
        if isinstance(at, Held):
            content: bytes = imported(CONTAINERS[at.container.suffix.lower()])(at, limit)
            return content
        about = os.stat(at)
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("not a file")
        check_size(about.st_size, limit)
        return at.read_bytes()
    except OSError as error:
        found, allowed = f"{type(error).__name__}: {error.strerror or error}", "a file, readable by this user"
        raise not_listed(at, found, f"{allowed}, as when the index was made") from error


def stored_bytes(at: Located) -> int | None:
    """Bytes of an image that is a file, or in an HDF5 file; None in other containers, whose reads check it.

    Raises OSError if it is not there.
    """
    at = at if isinstance(at, Held) else located("", str(at))
    if not isinstance(at, Held):
        return at.stat().st_size
    if at.container.suffix.lower() not in HDF5:
        at.container.stat()
        return None
    size: int = imported("reliance.images.containers.crops:size")(at)
    return size


def hash_image(at: Located) -> str:
    """SHA-256 of an image's bytes."""
    return hashlib.sha256(read_image(at, 1 << 40)).hexdigest()


def opened(path: Path) -> Handle:
    """A container to read from: one open file per process, however many images are read."""
    about = os.stat(path)
    return _opened(str(path), about.st_ino, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _opened(path: str, *state: int) -> Handle:
    return Handle(path)


def check_size(size: int, limit: int) -> None:
    """Raise Unreadable for more bytes than an image of max_pixels pixels has."""
    if size > limit:
        raise Unreadable(f"{size} bytes are more than an image of max_pixels pixels has")


def not_listed(at: object, found: str, allowed: str) -> RelianceError:
    """The error for an image that is not there as it was when the index was made."""
    return RelianceError(
        at,
        "the files that an index lists are there as they were",
        found=found,
        allowed=allowed,
        next_step="the disk or folder went away, a permission is missing, or the file was replaced: mount or "
        "restore it, then run the same command again; if files were removed, moved or replaced on purpose, "
        + run_again("index_images"),
    )


def _in_hdf5(path: Path) -> bool:
    return path.parent.suffix.lower() in HDF5 and path.parent.is_file()
