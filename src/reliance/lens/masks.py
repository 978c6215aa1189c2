"""Stage `lens_masks`: a folder of masks against the images of a data set, before anything is computed (V4).

A mask is a PNG at the path of its image with the suffix .png: to ROOT/val/crane/a.JPEG belongs
MASKS/val/crane/a.png. It has the size of its image. A pixel is inside unless it is 0: in all its colours, or,
in a PNG with a palette, as the number of its colour; alpha says nothing.

The same geometry takes images and masks to what the encoder sees, masks by their nearest pixel.
"""

import copy
import hashlib
import io
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.artifacts import TableSpec, write_table
from reliance.base.errors import RelianceError
from reliance.base.telling import advance, tell
from reliance.images.decode import Reading, Unreadable, crop_of, load_image
from reliance.images.source import located
from reliance.images.tables import SplitRows, read_split
from reliance.lens.store import sampled

log = logging.getLogger(__name__)
KEY = "lens.masks"
DEPTH, GREY = 24, 0  # where a PNG says its bits, and behind these its kind of colour: grey without alpha
ALLOWED = (
    "a PNG for every image that is segmented, at the image's path below the data set's root with the suffix "
    ".png, of the image's size, 0 outside and anything else inside"
)
MASKS = TableSpec(
    "lens_masks",
    1,
    (
        ("image_id", "int64"),  # of the split test
        ("mask", "string"),  # path below the folder of masks
        ("width", "int32"),  # of the image, and of the mask
        ("height", "int32"),
        ("inside", "float64"),  # share of the pixels of the whole image
        ("sha256", "string"),  # of the file
    ),
)


def lens_masks(*, index: Path, masks: str, listed: Path, reading: Reading, images: int) -> None:
    """List the masks of `images` evenly spaced test images as MASKS.

    masks : the folder. An image that cannot be read is left out, which is told.
    Raises RelianceError for a folder that is not there, masks that are missing, cannot be read, are of
    another size than their image, or empty, and for two images with one mask.
    """
    split, folder = read_split(index, "test"), Path(masks)
    ids = sampled(len(split.paths), images)
    names = [mask_of(str(path)) for path in split.paths[ids]]
    _check_there(folder, names, split.paths[ids])
    rows, unreadable = list[tuple[object, ...]](), list[str]()
    for done, (image_id, name) in enumerate(zip(ids.tolist(), names, strict=True)):
        advance(done, len(ids), "masks")
        size = _size_of(split, image_id, reading)
        if isinstance(size, str):
            unreadable.append(f"{split.paths[image_id]} ({size})")
            continue
        inside, digest = read_mask(folder / name, size)
        rows.append((image_id, name, *size, inside.mean(), digest))
    if unreadable:
        tell(log, "images that cannot be read are left out: %d, such as %s", len(unreadable), unreadable[0])
    if not rows:
        raise _refused("images", f"none of {len(ids)} test images can be read: {unreadable[0]}")
    frame = pd.DataFrame(rows, columns=[name for name, _ in MASKS.columns])
    content = hashlib.sha256("".join(frame["mask"] + frame["sha256"]).encode()).hexdigest()
    params = {"images": images, "content": content, "left_out": len(unreadable)}
    params |= {"apply_exif": reading.apply_exif, "max_pixels": reading.max_pixels}
    write_table(listed, frame, MASKS, params, {"index": split.stamp.id})


def mask_of(path: str) -> str:
    """Where the mask of an image lies below the folder of masks."""
    return str(PurePosixPath(path).with_suffix(".png"))


def read_mask(path: Path, size: tuple[int, int], digest: str | None = None) -> tuple[np.ndarray, str]:
    """(bool [h, w], SHA-256 of the file) of a mask.

    size : (width, height) of its image. digest : that the file must have; None takes any.
    Raises RelianceError unless it is such a PNG with something inside.
    """
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if digest not in (None, found):
            raise RelianceError(
                f"{KEY}: {path}",
                "masks stay as they were when they were listed",
                found="another file than then",
                allowed="the file that was listed",
                next_step="restore it, or have the masks listed again: --forcerun lens_masks",
            )
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.size != size:
                own, other = (f"{width} x {height} pixels" for width, height in (image.size, size))
                raise _refused(path, f"{own}, but its image has {other}")
            if content[DEPTH] == 16 and content[DEPTH + 1] != GREY:
                raise _refused(path, "16 bits per colour, of which the low ones, and masks in them, get lost")
            colours = [i for i, band in enumerate(image.getbands()) if band != "A"]
            pixels = np.asarray(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:  # what Pillow's reader raises
        raise _refused(path, f"{type(error).__name__}: {error}") from error
    inside: np.ndarray = pixels != 0 if pixels.ndim == 2 else (pixels[..., colours] != 0).any(2)
    if not inside.any():
        raise _refused(path, "an empty mask: every pixel is 0")
    return inside, found


def masks_seen(
    frame: pd.DataFrame, folder: Path, preprocess: Mapping[str, Any]
) -> Callable[[np.ndarray], np.ndarray]:
    """Masks by image_id [k] as the encoder sees them, bool [k, h, w]. frame : of MASKS.

    Raises RelianceError for a mask that is no longer what was listed.
    """
    rows, crop = frame.set_index("image_id"), crop_of_masks(preprocess)

    def one(row: pd.Series) -> np.ndarray:
        size = (int(row["width"]), int(row["height"]))
        return crop(read_mask(folder / str(row["mask"]), size, str(row["sha256"]))[0])

    return lambda ids: np.stack([one(rows.loc[image_id]) for image_id in ids.tolist()])


def crop_of_masks(preprocess: Mapping[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """What takes a mask bool [h, w] to its place in the pixels that `decode.crop_of` makes of its image.

    Padding is outside.
    """
    from torchvision.transforms import InterpolationMode

    whole = crop_of({**preprocess, "fill_color": 0})
    steps = [copy.copy(step) for step in whole.transforms]
    for step in steps:
        if hasattr(step, "interpolation"):
            step.interpolation = InterpolationMode.NEAREST
    transform = type(whole)(steps)

    def crop(mask: np.ndarray) -> np.ndarray:
        seen: np.ndarray = np.asarray(transform(Image.fromarray(mask.astype(np.uint8) * 255)))[..., 0] > 0
        return seen

    return crop


def _size_of(split: SplitRows, image_id: int, reading: Reading) -> tuple[int, int] | str:
    """(width, height) of an image as it is read, or why it cannot be."""
    at = located(reading.dataset_root, str(split.paths[image_id]), str(split.places[image_id]))
    exif, most, size = reading.apply_exif, reading.max_pixels, int(split.sizes[image_id])
    try:
        return load_image(at, apply_exif=exif, max_pixels=most, size=size).size
    except Unreadable as error:
        return str(error)


def _check_there(folder: Path, names: Sequence[str], paths: Sequence[str]) -> None:
    """Raise RelianceError unless every image has a mask, and one of its own."""
    if not folder.is_dir():
        raise _refused(folder, "no such folder")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        both = [path for path, name in zip(paths, names, strict=True) if name == twice[0]]
        raise _refused(folder / twice[0], f"the mask of {len(both)} images: {', '.join(both[:3])}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        found = f"none for {len(missing)} of {len(names)} images, such as {missing[0]}"
        raise _refused(folder, found)


def _refused(where: object, found: str) -> RelianceError:
    return RelianceError(
        f"{KEY}: {where}",
        "masks fit the images of the data set's test split",
        found=found,
        allowed=ALLOWED,
        next_step="correct the masks or the folder, and run the same command again; docs/lens.md says how "
        "masks and ImageNet-Segmentation are given",
    )
