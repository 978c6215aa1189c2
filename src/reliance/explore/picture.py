"""An image that is asked about: stored, then everything is read; or handed over, then it is embedded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.attribute import Seen
from reliance.explore.lookup import image_at, images_of
from reliance.explore.model import ENCODER, Models, unusable
from reliance.explore.shelf import Shelf
from reliance.images.decode import SPARE, Unreadable, load_image
from reliance.images.source import Located, located

STORED = re.compile(r"(?P<split>[a-z][a-z0-9_]*):(?P<image_id>[0-9]{1,9})")
ImageLike = Any  # a path, a PIL image, an array [h, w] or [h, w, 3] of uint8, or (split, image_id)


class Picture(NamedTuple):
    """An image with what the units see in it."""

    seen: Seen
    split: str  # "" for an image that is not of the data set
    image_id: int  # -1 for such an image
    class_id: int  # -1 if it has none
    path: str  # of its file, "" for pixels that were handed over
    pixels: Image.Image | None  # of these; None: read them from the file
    at: Located | None = None  # where in a container it lies, if that is not its path

    @property
    def title(self) -> str:
        """What to call it."""
        return f"{self.split}:{self.image_id}" if self.split else (Path(self.path).name or "image")

    def image(self) -> Image.Image | None:
        """Its pixels, None if the file is gone or cannot be decoded."""
        if self.pixels is not None:
            return self.pixels
        try:
            return load_image(self.at or self.path) if self.path else None
        except (Unreadable, RelianceError):
            return None


class Given(NamedTuple):
    """An image that was named or handed over, before anything is made of it."""

    place: tuple[str, int] | None  # (split, image_id) of a stored one
    path: str = ""  # of its file
    pixels: Image.Image | None = None  # of one that is not stored


def see(shelf: Shelf, models: Models, image: ImageLike) -> Picture:
    """The image as the units see it. Raises RelianceError for one that is not there or cannot be read."""
    given = _given(shelf, models, image, ("embeddings", "codes"))
    if given.place:
        return stored(shelf, *given.place)
    assert given.pixels is not None
    seen = models.image(given.pixels, _limits(shelf)[1])
    return Picture(seen, "", -1, -1, given.path, given.pixels)


def embedding_of(shelf: Shelf, models: Models, image: ImageLike) -> np.ndarray:
    """The image embedding [p] of an image, for which no units are needed. Raises RelianceError as `see`."""
    given = _given(shelf, models, image, ("embeddings",))
    if given.place:
        return shelf.embedding(*given.place)
    assert given.pixels is not None
    return models.embedding(given.pixels, _limits(shelf)[1])


def look(shelf: Shelf, models: Models, image: ImageLike) -> Picture:
    """The image alone, without what units see in it. Raises RelianceError as `see`."""
    given = _given(shelf, models, image, ("embeddings",))
    nothing = Seen(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32), given.place)
    if given.place:
        shelf.embedding(*given.place)  # there is such an image, and it could be read
        return _listed(shelf, *given.place, nothing)
    assert given.pixels is not None
    seen = nothing._replace(pixels=models.cropped(given.pixels, _limits(shelf)[1]))
    return Picture(seen, "", -1, -1, given.path, given.pixels)


def stored(shelf: Shelf, split: str, image_id: int) -> Picture:
    """An image of the data set, read from what the pipeline kept of it."""
    return _listed(shelf, split, image_id, shelf.seen(split, image_id))


def _listed(shelf: Shelf, split: str, image_id: int, seen: Seen) -> Picture:
    """The same, with what was made of it."""
    rows = images_of(shelf.path("index"), split, [image_id])
    name, class_id = str(rows["path"].iloc[0]), int(rows["class_id"].iloc[0])
    at = located(shelf.root, name, str(rows["place"].iloc[0])) if shelf.root else None
    return Picture(seen, split, image_id, class_id, str(shelf.root / name) if shelf.root else name, None, at)


def _given(shelf: Shelf, models: Models, image: ImageLike, kept: tuple[str, ...]) -> Given:
    """An image as the user gave it; a file of the data set is the stored image if what is `kept` is there."""
    if isinstance(image, tuple) and len(image) == 2:
        return Given((str(image[0]), int(image[1])))
    if isinstance(image, str | Path):
        return _named(shelf, models, image, kept)
    if isinstance(image, Image.Image):
        return Given(None, "", image.convert("RGB"))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3):
        return Given(None, "", Image.fromarray(image).convert("RGB"))
    found = f"{type(image).__name__} {getattr(image, 'dtype', '')} {getattr(image, 'shape', '')}".strip()
    raise RelianceError(
        "image",
        "an image is a path, a PIL image, an array of uint8 [h, w, 3], or (split, image_id)",
        found=found,
        allowed="one of these",
        next_step="arrays of floats: (255 * array).round().astype('uint8')",
    )


def _named(shelf: Shelf, models: Models, name: str | Path, kept: tuple[str, ...]) -> Given:
    """A file, which may be one of the data set's, or "split:image_id"."""
    file = Path(name).expanduser()
    match = STORED.fullmatch(str(name))
    if match and not file.exists():
        return Given((match["split"], int(match["image_id"])))
    if not file.is_file():
        raise RelianceError(
            file,
            "an image is a file, or split:image_id of the data set",
            found="no such file" if not file.exists() else "not a file",
            allowed="a path, or for example test:12",
            next_step="correct the path",
        )
    root = shelf.root
    if root and root.is_dir() and file.resolve().is_relative_to(root.resolve()):
        place = image_at(shelf.path("index"), file.resolve().relative_to(root.resolve()).as_posix())
        if place and all(shelf.has(name, place[0]) for name in kept):
            return Given(place, str(file))
    return Given(None, str(file), _decoded(shelf, models, file))


def _decoded(shelf: Shelf, models: Models, file: Path) -> Image.Image:
    """A file as the pipeline decodes those of the data set."""
    exif, most, decoding = _limits(shelf)
    least = SPARE[decoding] and SPARE[decoding] * models.size(ENCODER)
    try:
        return load_image(file, apply_exif=exif, max_pixels=most, least=least)
    except Unreadable as error:
        raise unusable(file, str(error)) from error


def _limits(shelf: Shelf) -> tuple[bool, int, str]:
    """(apply_exif, max_pixels, jpeg_decoding) that the stored images were read with."""
    split = next((s for s in ("test", "train") if shelf.has("embeddings", s)), "test")
    params = shelf.embeddings(split).stamp.params
    decoding = str(params.get("jpeg_decoding", "exact"))
    return bool(params.get("apply_exif", False)), int(params.get("max_pixels", 200_000_000)), decoding
