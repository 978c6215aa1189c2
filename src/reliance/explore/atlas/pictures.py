"""The images an atlas shows: each once, in the order in which they are first shown, small, in sheets."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from reliance.base.errors import RelianceError
from reliance.explore.atlas.chunks import SIZES
from reliance.figures.thumbnails import Reading, square
from reliance.images.decode import Unreadable, load_image
from reliance.images.source import Held, located

ACROSS = 8  # pictures in a row of a sheet
PER_SHEET = SIZES["images"]
SIDES = ((6_000, 112), (40_000, 96), (np.inf, 64))  # up to so many images, pixels of a picture
MOST = 150_000  # examples of units, all together
QUALITY = 80  # of WebP
DRAWN, GONE = 1, 0


class Shown:
    """Numbers the images that are shown; an image is known by (split, image_id)."""

    def __init__(self) -> None:
        self._number: dict[tuple[str, int], int] = {}

    def number(self, split: str, image_id: int) -> int:
        """The number of an image, a new one if it is shown for the first time."""
        return self._number.setdefault((split, image_id), len(self._number))

    def frame(self) -> pd.DataFrame:
        """split and image_id of every image, by number."""
        return pd.DataFrame(list(self._number), columns=["split", "image_id"])

    def __len__(self) -> int:
        return len(self._number)


def examples_per_unit(units: int) -> int:
    """How many examples a unit gets if so many units have some."""
    return int(np.clip(MOST // max(units, 1), 4, 16))


def side_of(images: int) -> int:
    """Pixels of one picture if there are so many."""
    return next(side for most, side in SIDES if images <= most)


def write_sheets(
    folder: Path, images: pd.DataFrame, root: Path, reading: Reading, side: int, threads: int
) -> np.ndarray:
    """Draw images (path, place, bytes; by number) into `<number // 64>.webp`; 1 for each that could be drawn.

    Raises RelianceError if none of them can be: the folder of the data set is gone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(images), PER_SHEET)
    rows: list[dict[Any, Any]] = images.to_dict("records")

    def one(start: int) -> list[int]:
        part = rows[start : start + PER_SHEET]
        drawn, sheet = draw_sheet(part, root, reading, side)
        sheet.save(folder / f"{start // PER_SHEET}.webp", quality=QUALITY, method=2)
        return drawn

    with ThreadPoolExecutor(max(1, threads)) as pool:
        drawn = [n for part in pool.map(one, starts) for n in part]
    if rows and not any(drawn):
        raise _no_images(root, rows[0]["path"])
    return np.array(drawn, np.int64)


def draw_sheet(
    rows: list[dict[Any, Any]], root: Path, reading: Reading, side: int
) -> tuple[list[int], Image.Image]:
    """1 for each picture that could be drawn, and a sheet of them; a crossed box stands for the others."""
    down = -(-len(rows) // ACROSS)
    sheet, drawn = Image.new("RGB", (ACROSS * side, max(down, 1) * side), (128, 128, 128)), []
    for place, row in enumerate(rows):
        at = located(root, str(row["path"]), str(row.get("place", "")))
        picture = _picture(at, int(str(row["bytes"])), reading, side)
        corner = place % ACROSS * side, place // ACROSS * side
        sheet.paste(picture or _crossed(side), corner)
        drawn.append(GONE if picture is None else DRAWN)
    return drawn, sheet


def _picture(at: Path | Held, size: int, reading: Reading, side: int) -> Image.Image | None:
    try:
        return square(load_image(at, size=size, least=side, **reading._asdict()), side)
    except (OSError, RelianceError, Unreadable):  # gone, changed, damaged: counted, and crossed out
        return None


def _crossed(side: int) -> Image.Image:
    box = Image.new("RGB", (side, side), (205, 205, 205))
    pen = ImageDraw.Draw(box)
    pen.line((0, 0, side, side), (150, 150, 150), 2)
    pen.line((0, side, side, 0), (150, 150, 150), 2)
    return box


def _no_images(root: Path, path: str) -> RelianceError:
    return RelianceError(
        root / path,
        "an atlas shows images from the folder of their data set",
        found="not there, or another file now, and so every other image that is asked for",
        allowed="the files that were there when the index was made",
        next_step="mount or restore the disk or folder and run the same command again; if the images "
        "were moved, correct the root in the config",
    )
