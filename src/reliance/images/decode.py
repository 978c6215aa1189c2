"""From untrusted image files to the 8-bit RGB pixels an encoder looks at; torch is not imported here.

| stored as | becomes |
|---|---|
| grey, CMYK, 1 bit | RGB by Pillow's convert("RGB") |
| palette, LA, RGBA | the colours; transparency is dropped, as convert("RGB") does |
| 16-bit grey | scaled to 8 bits, by the depth that the file says (convert would clip everything above 255) |
| float | scaled from 0..1; other ranges are refused, because their scale is unknown |
| animation | the first frame |
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from reliance.base.errors import RelianceError
from reliance.images.depth import largest, warn_if_dark
from reliance.images.source import Located, Unreadable, located, not_listed, read_image

__all__ = ["Images", "Pixels", "Reading", "Unreadable", "channel_gain", "crop_of", "load_image"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # Pillow's other readers run programs
CHANNELS = {"red": (0,), "green": (1,), "blue": (2,), "all": (0, 1, 2)}
BYTES_PER_PIXEL, BYTES_BESIDE_PIXELS = 16, 1 << 24  # no image that may be decoded has a larger file
# No side of a JPEG decoded at 1/2, 1/4 or 1/8 is below this many times the encoder's. With 1, blocks are
# averaged in place of the resize: preprocessed photographs had cosines down to 0.97 with the exact ones.
# With 2, which leaves the resize its work, down to 0.9995 (benchmarks/embedding.py --jpeg reduced).
SPARE = {"exact": 0, "reduced": 2}


class Reading(NamedTuple):
    """How image files become pixels."""

    dataset_root: str  # folder the index's paths are relative to
    apply_exif: bool = False
    max_pixels: int = 200_000_000
    transform: Mapping[str, Any] | None = None  # of the decoded image: the arguments of `channel_gain`
    jpeg_decoding: str = "exact"  # a key of SPARE


class Pixels(NamedTuple):
    """One image, or why there is none."""

    values: np.ndarray  # [h, w, 3] uint8, resized and cropped; zeros if unreadable
    reason: str  # "" if readable
    failure: RelianceError | None = None  # of the disk: ends the job, in whichever process it is seen


class Images:
    """A sequence of image files as Pixels; an unreadable image is a result, not an error.

    So is a file that the disk does not give, or another one than the index lists: raised in a worker of
    a data loader, the error would lose its message, so it is handed over as `failure`, to be raised by
    who takes the batch.
    preprocess : size, mean, std, interpolation, resize_mode, fill_color of the encoder.
    sizes : bytes that the index has for each file; None does not compare them.
    places : where in a container each image lies (`images.source`); None: all are files of their own.
    """

    def __init__(
        self,
        paths: Sequence[str],
        reading: Reading,
        preprocess: Mapping[str, Any],
        sizes: Sequence[int] | None = None,
        places: Sequence[str] | None = None,
    ) -> None:
        self.paths, self.reading, self.sizes, self.places = paths, reading, sizes, places
        self._crop = crop_of(preprocess)
        size = preprocess["size"]
        self._size = (size, size) if isinstance(size, int) else tuple(size)
        self._resize_mode = preprocess["resize_mode"]
        least = SPARE[reading.jpeg_decoding] * max(self._size)
        how = {"apply_exif": reading.apply_exif, "max_pixels": reading.max_pixels, "least": least}
        self._how: dict[str, Any] = how

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Pixels:
        reading, place = self.reading, self.places[row] if self.places is not None else ""
        nothing = np.zeros((*self._size, 3), np.uint8)
        try:
            size = self.sizes[row] if self.sizes is not None else None
            at = located(reading.dataset_root, self.paths[row], place)
            image = load_image(at, size=size, **self._how)
            self._check_shape(*image.size)
            if reading.transform:
                image = Image.fromarray(channel_gain(np.asarray(image), **reading.transform))
            return Pixels(np.array(self._crop(image)), "")
        except Unreadable as error:
            return Pixels(nothing, str(error))
        except RelianceError as error:
            return Pixels(nothing, "", error)

    def _check_shape(self, width: int, height: int) -> None:
        """Refuse thin strips: resized, one side would need gigabytes or have no pixel left."""
        short, long = sorted((width, height))
        size = max(self._size)
        enlarged = size * size * long / short
        if self._resize_mode == "shortest" and enlarged > self.reading.max_pixels:
            raise Unreadable(f"{width} x {height} pixels are too thin: resized, they exceed max_pixels")
        if self._resize_mode == "longest" and round(size * short / long) == 0:
            raise Unreadable(f"{width} x {height} pixels are too thin: resized, nothing is left")


def crop_of(preprocess: Mapping[str, Any]) -> Any:
    """open_clip's own transform for this preprocessing, up to the last step that is still an RGB image."""
    from reliance.base.openclip import open_clip

    mean, std = (tuple(preprocess[name]) for name in ("mean", "std"))
    options = {name: preprocess[name] for name in ("resize_mode", "interpolation", "fill_color")}
    transform = open_clip.transform.image_transform(
        preprocess["size"], is_train=False, mean=mean, std=std, **options
    )
    return type(transform)(transform.transforms[:-2])  # ToTensor and Normalize are the encoder's part


def channel_gain(pixels: np.ndarray, channel: str, delta: float) -> np.ndarray:
    """Pixels with one channel made stronger (delta < 0) or weaker (delta > 0); uint8 [h, w, 3].

    Eq. 32: value' = max(min(value (1 - delta), 1), 0) for values in 0..1, rounded to 8 bits.
    channel : "red" | "green" | "blue" | "all".
    """
    changed = pixels.copy()
    for i in CHANNELS[channel]:
        changed[..., i] = np.rint(np.clip(pixels[..., i].astype(np.float64) * (1 - delta), 0, 255))
    return changed


def load_image(
    at: Located,
    *,
    apply_exif: bool = False,
    max_pixels: int = 200_000_000,
    size: int | None = None,
    least: int = 0,
) -> Image.Image:
    """Decode an image to RGB.

    at : a file, or where it lies in a container.
    apply_exif : rotate as the EXIF orientation says; usual ImageNet readings ignore it.
    max_pixels : larger images are refused by their header, before any pixel is decoded.
    size : bytes that the file must have; None takes any.
    least : decode a JPEG at 1/2, 1/4 or 1/8 of its size if no side gets fewer pixels; 0 never does.
    Raises Unreadable for everything that is wrong with the content, and RelianceError if the disk
    does not give the file, or not the one that was meant: that says nothing about the image.
    """
    content = read_image(at, BYTES_BESIDE_PIXELS + BYTES_PER_PIXEL * max_pixels)
    if size not in (None, len(content)):
        raise not_listed(at, f"{len(content)} bytes", f"{size} bytes, as when the index was made")
    try:
        with _no_pixel_limit():
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise Unreadable(f"{width} x {height} pixels are more than max_pixels = {max_pixels}")
        if least:
            image.draft(None, (least, least))  # heeded by JPEG alone; None: colours are converted as ever
        white = largest(image, content) if image.mode == "I" or image.mode.startswith("I;16") else None
        image.load()
        if apply_exif:
            image = ImageOps.exif_transpose(image)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            image = _from_wide_grey(np.asarray(image), image.mode, white)
        return image.convert("RGB")
    except (Unreadable, MemoryError):
        raise
    except UnidentifiedImageError:
        what = f"not an image in a known format ({len(content)} bytes)"
        raise Unreadable(what if content else "an empty file (0 bytes)") from None
    # A damaged file makes Pillow's readers raise nearly anything (OSError, SyntaxError, struct.error,
    # ValueError, ...); whatever it is, the image is unusable and the reason is recorded.
    except Exception as error:
        raise Unreadable(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from error


def _from_wide_grey(pixels: np.ndarray, mode: str, white: int | None = None) -> Image.Image:
    """8-bit grey from 16-bit integers, of which `white` is the largest, or from floats in 0..1."""
    top = 1.0 if mode == "F" else white or 65535
    values = pixels.astype(np.float64)
    if not (values.min() >= 0 and values.max() <= top):
        raise Unreadable(f"pixels of mode {mode} from {values.min():g} to {values.max():g}: unknown scale")
    if mode != "F" and white is None:
        warn_if_dark(float(values.max()))
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))


@contextmanager
def _no_pixel_limit() -> Iterator[None]:
    """Pillow's own limit is global and lower than max_pixels may be: lifted here, and put back."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
