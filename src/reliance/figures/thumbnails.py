"""Small square pictures of a data set's images, for figures.

An image that is gone, damaged, or no longer the file that was indexed is not drawn: its frame says
so. Pixels are reduced to few colours, because a PDF of matplotlib stores images without loss: with
COLORS a palette and one byte per pixel suffice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.codes.top_samples import BOX
from reliance.images.decode import Unreadable, load_image
from reliance.images.slices import take
from reliance.images.source import Held, located, stored_bytes

COLORS = 128
DATASET = "dataset"  # the name of one that is alone
KEY = ["dataset", "split", "image_id"]
DRAWN, MISSING, UNREADABLE, CHANGED = "yes", "missing", "unreadable", "changed"


class Thumbnail(NamedTuple):
    """One image of a gallery."""

    pixels: np.ndarray | None  # [size, size, 3] uint8; None if there is nothing to draw
    drawn: str  # "yes" | "missing" | "unreadable" | "changed"


class Reading(NamedTuple):
    """How images are decoded, see images.decode."""

    apply_exif: bool = False
    max_pixels: int = 200_000_000


AS_STORED = Reading()


class Pictured(NamedTuple):
    """The data sets whose images a figure shows."""

    datasets: Sequence[str]  # names
    indexes: Sequence[Path]  # INDEX of each
    roots: Sequence[str]  # the folder of each


class Album:
    """The images of some data sets, decoded in one way.

    `ids` are those of the indexes, by "index_<data set>". Raises RelianceError if a root is no folder.
    """

    def __init__(self, pictured: Pictured, reading: Reading = AS_STORED) -> None:
        self.reading = reading
        self.indexes = dict(zip(pictured.datasets, pictured.indexes, strict=True))
        self.roots = dict(zip(pictured.datasets, map(Path, pictured.roots), strict=True))
        self.ids = {f"index_{name}": take(path, {})[1].id for name, path in self.indexes.items()}
        for name, root in self.roots.items():
            if not root.is_dir():
                raise _no_root(name, root)

    @property
    def home(self) -> str:
        """The data set of the variant itself, which comes first."""
        return next(iter(self.indexes), "")

    def find(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The samples (dataset, split, image_id, ...) with path, bytes and place inside of a container.

        Raises RelianceError for an image that no index has.
        """
        wanted = [_rows_of(path, name, samples) for name, path in self.indexes.items()]
        columns = [*KEY, "path", "inside", "bytes"]
        known = pd.concat(wanted)[columns] if wanted else pd.DataFrame(columns=columns)
        found = samples.reset_index(drop=True).merge(known, how="left", on=KEY, validate="many_to_one")
        lost = found[found["path"].isna()]
        if len(lost):
            row = lost.iloc[0]
            raise RelianceError(
                self.indexes.get(row["dataset"], f"data set {row['dataset']}"),
                "the images of a gallery are in the index of their data set",
                found=f"no image {row['image_id']} in split {row['split']!r} of {row['dataset']!r}",
                allowed="images of " + (", ".join(self.indexes) or "no data set"),
                next_step="it was made for other images: make it again, or correct its column 'dataset'",
            )
        return found.astype({"bytes": np.int64})

    def thumbnails(self, found: pd.DataFrame, size: int) -> list[Thumbnail]:
        """Squares of `size` pixels of the rows that `find` returned, in their order.

        A patch that the rows name (`codes.top_samples.BOX`) is outlined.
        Raises RelianceError if not one file of a data set is there any more.
        """
        rows = zip(found["dataset"], found["path"], found["inside"], found["bytes"], strict=True)
        shown = [self._thumbnail(located(self.roots[d], path, at), n, size) for d, path, at, n in rows]
        if set(BOX) <= set(found.columns):
            places = found[list(BOX)].to_numpy(float)
            shown = [outlined(picture, box) for picture, box in zip(shown, places, strict=True)]
        drawn = pd.Series([picture.drawn for picture in shown], dtype=object)
        for name in found["dataset"].unique():
            own = (found["dataset"] == name).to_numpy()
            if (drawn[own] == MISSING).all():
                raise _no_root(name, self.roots[name] / found["path"][own].iloc[0])
        return shown

    def _thumbnail(self, at: Path | Held, size_in_bytes: int, size: int) -> Thumbnail:
        try:
            if stored_bytes(at) not in (None, size_in_bytes):
                return Thumbnail(None, CHANGED)
            image = load_image(at, **self.reading._asdict())
        except (OSError, RelianceError):  # of the disk; galleries with nothing else are refused
            return Thumbnail(None, MISSING)
        except Unreadable:
            return Thumbnail(None, UNREADABLE)
        return Thumbnail(few_colors(square(image, size)), DRAWN)


def strongest(chosen: pd.DataFrame, top: pd.DataFrame, most: int) -> pd.DataFrame:
    """The strongest images of the chosen components, in their order: component, place (from 1),
    image_id, image_activation.
    """
    first = top[top["component"].isin(chosen["component"]) & (top["rank"] < most)]
    order = first["component"].map({c: i for i, c in enumerate(chosen["component"])})
    first = first.assign(order=order, place=first["rank"] + 1).sort_values(["order", "rank"])
    renamed = first.rename(columns={"activation": "image_activation"})
    patch = [name for name in BOX if name in top.columns]
    return renamed[["component", "place", "image_id", "image_activation", *patch]].reset_index(drop=True)


def outlined(picture: Thumbnail, box: np.ndarray) -> Thumbnail:
    """A thumbnail with a patch outlined, a light line around a dark one; `box` is BOX."""
    if picture.pixels is None or not np.isfinite(box).all():
        return picture
    pixels, side = picture.pixels.copy(), len(picture.pixels)
    left, top, right, bottom = (min(max(round(share * side), 0), side) for share in box.tolist())
    for inset, shade in ((0, 255), (1, 0)):
        rows, columns = slice(top + inset, bottom - inset), slice(left + inset, right - inset)
        pixels[rows, columns][[0, -1]] = shade
        pixels[rows, columns][:, [0, -1]] = shade
    return picture._replace(pixels=pixels)


def square(image: Image.Image, size: int) -> Image.Image:
    """The centre of an RGB image, `size` x `size` pixels; pixels of smaller images stay sharp squares."""
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    image = image.crop((left, top, left + side, top + side))
    if side < size:
        factor = -(-size // side)
        image = image.resize((side * factor, side * factor), Image.Resampling.NEAREST)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def few_colors(image: Image.Image) -> np.ndarray:
    """An RGB image in at most COLORS colours, dithered; uint8 [h, w, 3]."""
    if image.getcolors(COLORS) is None:
        palette = image.quantize(COLORS, method=Image.Quantize.MEDIANCUT)
        image = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(image.convert("RGB"))


def _rows_of(index: Path, name: str, samples: pd.DataFrame) -> pd.DataFrame:
    own = samples[samples["dataset"] == name]
    rows, _ = take(index, {str(split): ids.tolist() for split, ids in own.groupby("split")["image_id"]})
    # a picture's place in a figure is another one than that of an image in its container
    return rows.rename(columns={"place": "inside"}).assign(dataset=name)


def _no_root(name: str, path: Path) -> RelianceError:
    return RelianceError(
        path,
        "a gallery shows images from the folder of their data set",
        found=f"not there, nor any other image of {name} that is asked for",
        allowed="the files that were there when the index was made",
        next_step="mount or restore the disk or folder and run the same command again; if the images "
        "were moved, correct the root in the config",
    )
