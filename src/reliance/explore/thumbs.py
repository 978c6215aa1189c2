"""Small pictures of the images that an answer names, by the index, from the folder of the data set."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.lookup import images_of
from reliance.explore.picture import Picture
from reliance.explore.sheets import WHERE, Shown
from reliance.explore.shelf import Shelf
from reliance.figures.thumbnails import square
from reliance.images.decode import Unreadable, load_image
from reliance.images.source import Held, located


def thumbnails(
    shelf: Shelf, shown: Iterable[Shown], size: int, own: Picture | None = None, places: Sequence[Any] = ()
) -> dict[Shown, Image.Image | None]:
    """Squares of `size` pixels by image; None for one whose file is gone or cannot be decoded.

    places : maps over an image, for those of WHERE.
    """
    wanted = list(dict.fromkeys(shown))
    found: dict[Shown, Image.Image | None] = dict.fromkeys(wanted)
    root = shelf.root
    for key in wanted:
        if key[0] == WHERE:
            found[key] = square(places[key[1]].picture, size)
    for split in sorted({split for split, _ in wanted if split not in ("", WHERE)}):
        ids = [image_id for name, image_id in wanted if name == split]
        rows = images_of(shelf.path("index"), split, ids)
        for image_id, path, place in zip(rows.index.tolist(), rows["path"], rows["place"], strict=True):
            found[split, image_id] = _thumbnail(located(root, path, place), size) if root else None
    handed = own.image() if own and ("", -1) in found else None
    if handed:
        found["", -1] = square(handed, size)
    return found


@lru_cache(maxsize=4096)
def _thumbnail(at: Path | Held, size: int) -> Image.Image | None:
    try:
        return square(load_image(at), size)
    except (Unreadable, RelianceError):
        return None
