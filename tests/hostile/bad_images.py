"""Files that are called images, in a data set of otherwise good ones."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from reliance.base.artifacts import read_table
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.images.decode import Images, Reading
from reliance.images.index import gather_excluded, index_images
from reliance.images.layouts import Looking
from reliance.images.tables import EXCLUDED, INDEX, read_split

from .bad import HTML, Bad, excluded, gives, refused

MAX_PIXELS = 1_000_000
PREPROCESS = {
    "size": 8,
    "mean": [0.5] * 3,
    "std": [0.2] * 3,
    "interpolation": "bilinear",
    "resize_mode": "shortest",
    "fill_color": 0,
}
COLOUR = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8))
READ = ("read", "")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def outcome(
    folder: Path, make: Callable[[Path], object], name: str | bytes, follow_links: bool = False
) -> tuple[str, str]:
    """("read", ""), or the status and reason under which the file is listed in excluded.parquet."""
    root = folder / "root"
    for place in ("train/k/good.png", "test/k/good.png"):
        (root / place).parent.mkdir(parents=True)
        COLOUR.save(root / place)
    make(Path(os.fsdecode(os.fsencode(root / "train/k") + b"/" + os.fsencode(name))))
    out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**out, root=str(root), layout="folder", looking=Looking(follow_links))
    manifests = [embedded(folder, root, out["index"], split) for split in ("train", "test")]
    excluded = folder / "excluded.parquet"
    gather_excluded(index=out["index"], manifests=manifests, excluded=excluded, splits=["train", "test"])
    rows = read_table(excluded, EXCLUDED).frame
    indexed = set(read_table(out["index"], INDEX).frame["path"])
    if rows.empty:
        assert any(path not in ("train/k/good.png", "test/k/good.png") for path in indexed)
        return READ
    assert len(rows) == 1
    return "unreadable" if rows["path"][0] in indexed else "left out", rows["reason"][0]


def embedded(folder: Path, root: Path, index: Path, split: str) -> Path:
    """Decode the images of a split as the encoder's job does, and write its manifest."""
    rows = read_split(index, split)
    images = Images(rows.paths.tolist(), Reading(str(root), True, MAX_PIXELS), PREPROCESS)
    read = [images[i] for i in range(len(images))]
    assert not any(pixels.failure for pixels in read)
    excluded = [(i, pixels.reason) for i, pixels in enumerate(read) if pixels.reason]
    part = folder / split / "part-0-of-1.zarr"
    part.parent.mkdir()
    span, layout = PartRange(0, len(read)), {"x": Layout((2,), "float32")}
    writer = PartWriter(part, "embeddings", span, layout, {}, {"index": rows.stamp.id, "weights": "w"})
    writer.append({"x": np.zeros((len(read), 2), np.float32)}, excluded)
    writer.finish()
    write_manifest(folder / split / "manifest.json", [part], "embeddings")
    return folder / split / "manifest.json"


def image(
    label: str,
    make: Callable[[Path], object],
    expected: tuple[str, str],
    name: str | bytes = "x.jpg",
    follow_links: bool = False,
) -> Bad:
    run = lambda folder: outcome(folder, make, name, follow_links)  # noqa: E731
    return Bad(f"image: {label}", run, excluded(*expected))


def bomb(path: Path) -> None:
    """A header that promises 60,000 x 60,000 pixels, and no data."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)), (b"IDAT", b"")]
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def text_bomb(path: Path) -> None:
    """A few kilobytes of compressed text that unpack to 100 MB."""
    data = b"k\0\0" + zlib.compress(bytes(100_000_000), 1)
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    good = encoded(COLOUR, "PNG")
    path.write_bytes(good[:33] + chunk + good[33:])


def sparse(path: Path) -> None:
    with open(path, "wb") as stream:
        stream.truncate(10**12)


def linked(target: str) -> Callable[[Path], object]:
    """A symbolic link; {outside} is a folder beside the root."""

    def make(path: Path) -> None:
        outside = path.parents[3] / "outside"
        outside.mkdir()
        COLOUR.save(outside / "secret.png")
        path.symlink_to(target.format(outside=outside))

    return make


def palette(path: Path) -> None:
    COLOUR.quantize(8).save(path, "PNG", transparency=0)


def folder_of_one(path: Path) -> None:
    path.mkdir()
    COLOUR.save(path / "inside.png")


LARGE = encoded(COLOUR.resize((99, 99)), "PNG")
JPEG, PNG = encoded(COLOUR, "JPEG"), encoded(COLOUR, "PNG")
FRAMES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
TOO_LARGE = f"60000 x 60000 pixels are more than max_pixels = {MAX_PIXELS}"
NOT_KNOWN = "not an image in a known format ({} bytes)"
LATER = content(PNG)
CASES = [
    image("empty", content(b""), ("unreadable", "an empty file (0 bytes)")),
    image("truncated", content(LARGE[: len(LARGE) // 2]), ("unreadable", "Error: ")),
    image("wrong extension", content(PNG), READ),
    image("a web page", content(HTML.encode()), ("unreadable", NOT_KNOWN.format(len(HTML)))),
    image("PostScript", content(b"%!PS-Adobe-3.0 EPSF\n"), ("unreadable", NOT_KNOWN.format(20))),
    image("SVG", content(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("unreadable", NOT_KNOWN.format(41))),
    image("decompression bomb", bomb, ("unreadable", TOO_LARGE)),
    image("compressed text bomb", text_bomb, ("unreadable", "too large")),
    image("a terabyte", sparse, ("unreadable", f"{10**12} bytes are more than")),
    image(
        "thin strip",
        content(encoded(Image.new("L", (200_000, 1)), "PNG")),
        ("unreadable", "200000 x 1 pixels are too thin"),
    ),
    image("one pixel", content(encoded(Image.new("1", (1, 1)), "PNG")), READ),
    image("animated", content(encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])), READ),
    image("CMYK", content(encoded(COLOUR.convert("CMYK"), "JPEG")), READ),
    image("16 bit", content(encoded(Image.new("I;16", (9, 9), 40_000), "PNG")), READ),
    image(
        "floats of unknown scale",
        content(encoded(Image.new("F", (9, 9), 700.0), "TIFF")),
        ("unreadable", "unknown scale"),
    ),
    image("palette with transparency", palette, READ),
    image("EXIF garbage", content(encoded(COLOUR, "JPEG", exif=b"Exif\0\0" + b"\xff" * 99)), READ),
    image("ICC garbage", content(encoded(COLOUR, "JPEG", icc_profile=b"\xfe" * 99)), READ),
    image("trailing garbage", content(JPEG + HTML.encode()), READ),
    image("name with a line break", LATER, READ, "a\nb.png"),
    image("name with control characters", LATER, READ, "a\x1b[2J\rb.png"),
    image("name from right to left", LATER, READ, "\u202egnp.exe.png"),
    image("name with HTML", LATER, READ, "<img src=x onerror=alert(1)>.png"),
    image("name with shell characters", LATER, READ, "$(touch x); `x` & {0.__class__} %s.png"),
    image("name of 255 bytes", LATER, READ, "x" * 251 + ".png"),
    image("name that is not UTF-8", LATER, ("left out", "its name is not UTF-8"), b"\xff\xfe.png"),
    image("folder named like an image", folder_of_one, READ),
    image("link to nothing", linked("nowhere.png"), ("left out", "a link to nothing")),
    image("link to itself", linked("x.jpg"), ("left out", "a link to nothing")),
    image(
        "link out of the root",
        linked("{outside}/secret.png"),
        ("left out", "a link out of the data set's root"),
    ),
    image(
        "relative link out of the root",
        linked("../../../outside/secret.png"),
        ("left out", "a link out of the data set's root"),
    ),
    image("link to a folder outside", linked("{outside}"), ("left out", "a link to a folder")),
    image("link to a device", linked("/dev/zero"), ("left out", "a link out of the data set's root")),
    image("followed link out of the root", linked("{outside}/secret.png"), READ, "x.jpg", True),
    image("followed link to a device", linked("/dev/zero"), ("left out", "not a file"), "x.jpg", True),
    image(
        "followed link to the folder around it",
        linked(".."),
        ("left out", "a link to a folder that it lies in"),
        "x.jpg",
        True,
    ),
    image("pipe", os.mkfifo, ("left out", "not a file")),
]


def names_in_two_cases(folder: Path) -> list[str]:
    for split in ("train", "test"):
        (folder / "root" / split / "k").mkdir(parents=True)
        for name in ("A.PNG", "a.png"):
            COLOUR.save(folder / "root" / split / "k" / name, "PNG")
    out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    index_images(**out, root=str(folder / "root"), layout="folder")
    return read_split(out["index"], "train").paths.tolist()


def swapped_for_a_pipe(folder: Path) -> str:
    """An image that became a pipe after it was listed must not be waited for."""
    os.mkfifo(folder / "x.png")
    return Images(["x.png"], Reading(str(folder), False, MAX_PIXELS), PREPROCESS)[0].reason


def no_permission(folder: Path) -> None:
    path = folder / "x.png"
    path.write_bytes(PNG)
    path.chmod(0)
    raise Images(["x.png"], Reading(str(folder), False, MAX_PIXELS), PREPROCESS)[0].failure or AssertionError


def gone(folder: Path) -> None:
    raise Images(["x.png"], Reading(str(folder), False, MAX_PIXELS), PREPROCESS)[0].failure or AssertionError


CASES += [
    Bad(
        "image: two names that differ in case", names_in_two_cases, gives(["train/k/A.PNG", "train/k/a.png"])
    ),
    Bad("image: swapped for a pipe", swapped_for_a_pipe, gives("not a file")),
    Bad("image: removed after it was listed", gone, refused("x.png", "FileNotFoundError")),
]
if os.geteuid() != 0:  # root may read everything
    CASES.append(Bad("image: no permission", no_permission, refused("x.png", "PermissionError")))
