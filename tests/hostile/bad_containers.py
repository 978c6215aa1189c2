"""Archives, shards and parquet files that are hostile or damaged, with good images in them, too."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reliance.base.artifacts import read_table
from reliance.images.decode import Images, Reading
from reliance.images.index import index_images
from reliance.images.tables import INDEX, read_split

from .bad import Bad, excluded, gives, refused
from .bad_images import COLOUR, MAX_PIXELS, PREPROCESS, READ, encoded

GOOD = [f"{folder}/{i}.png" for folder in ("cat", "dog") for i in range(2)]
PNG = encoded(COLOUR, "PNG")
KEY = "datasets.mine.root"


def outcome(folder: Path, layout: str) -> tuple[str, str] | list[str]:
    """("left out" | "unreadable", reason) of the one image that is not read, or the paths of all."""
    out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
    root = str(folder / "root")
    index_images(**out, root=root, layout=layout, dataset="mine", max_invalid=5)
    table = read_table(out["index"], INDEX)
    reasons = {("left out", reason) for _, reason in table.stamp.params["left_out"]}
    for split in ("train", "test"):
        rows = read_split(out["index"], split)
        images = Images(rows.paths, Reading(root, True, MAX_PIXELS), PREPROCESS, rows.sizes, rows.places)
        for i in range(len(images)):
            if images[i].failure:
                raise images[i].failure  # type: ignore[misc]
            if images[i].reason:
                reasons.add(("unreadable", images[i].reason))
    assert set(GOOD) <= set(table.frame["path"])
    assert not (folder / "escaped.png").exists()
    return reasons.pop() if len(reasons) == 1 else READ if not reasons else sorted(map(str, reasons))


def zipped(label: str, add: Callable[[zipfile.ZipFile], object], check: Callable[..., None]) -> Bad:
    def run(folder: Path) -> object:
        (folder / "root").mkdir()
        with zipfile.ZipFile(folder / "root/a.zip", "w") as archive:
            for name in GOOD:
                archive.writestr(name, PNG)
            add(archive)
        return outcome(folder, "zip")

    return Bad(f"zip: {label}", run, check)


def tarred(label: str, add: Callable[[tarfile.TarFile], object], check: Callable[..., None]) -> Bad:
    def run(folder: Path) -> object:
        (folder / "root").mkdir()
        with tarfile.open(folder / "root/a.tar", "w") as archive:
            for name in GOOD:
                put(archive, name, PNG)
            add(archive)
        return outcome(folder, "webdataset")

    return Bad(f"tar: {label}", run, check)


def put(archive: tarfile.TarFile, name: str, content: bytes = b"", **about: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in about.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def damaged(label: str, layout: str, change: Callable[[bytes], bytes], check: Callable[..., None]) -> Bad:
    """A container whose bytes are changed after it was made."""

    def run(folder: Path) -> object:
        root = folder / "root"
        root.mkdir()
        if layout == "zip":
            with zipfile.ZipFile(root / "a.zip", "w") as archive:
                for name in GOOD:
                    archive.writestr(name, PNG)
        elif layout == "webdataset":
            with tarfile.open(root / "a.tar", "w") as shard:
                for name in GOOD:
                    put(shard, name, PNG)
        else:
            pq.write_table(
                pa.table({"image": [PNG] * 4, "label": ["cat", "cat", "dog", "dog"]}), root / "a.parquet"
            )
        path = next(root.iterdir())
        path.write_bytes(change(path.read_bytes()))
        return outcome(folder, layout)

    return Bad(f"{layout}: {label}", run, check)


def table(about: str, check: Callable[..., None], **columns: object) -> Bad:
    def run(folder: Path) -> object:
        (folder / "root").mkdir()
        pq.write_table(pa.table(columns), folder / "root/a.parquet")
        out = {name: folder / f"{name}.parquet" for name in ("index", "classes")}
        index_images(**out, root=str(folder / "root"), layout="parquet", dataset="mine", max_invalid=5)
        found = read_table(out["index"], INDEX)
        return sorted(found.frame["path"]) + [reason for _, reason in found.stamp.params["left_out"]]

    return Bad(f"parquet: {about}", run, check)


def bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("cat/x.png", bytes(70_000_000), zipfile.ZIP_DEFLATED)


def linked(archive: zipfile.ZipFile) -> None:
    about = zipfile.ZipInfo("cat/x.png")
    about.external_attr = 0o120777 << 16
    archive.writestr(about, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("cat/0.png", b"another")


def wrong_sum(content: bytes) -> bytes:
    """The checksum of the last member as the directory lists it is another."""
    place = content.rindex(b"PK\1\2") + 16
    return content[:place] + bytes(4) + content[place + 4 :]


def promising(content: bytes) -> bytes:
    """The last member is said to begin where the first one does."""
    place = content.rindex(b"PK\1\2") + 42
    return content[:place] + bytes(4) + content[place + 4 :]


LEADS_OUT = excluded("left out", "leads out of the archive")
CASES = [
    zipped("path out of it", lambda a: a.writestr("../escaped.png", PNG), LEADS_OUT),
    zipped("path out of it, from inside", lambda a: a.writestr("cat/../../escaped.png", PNG), LEADS_OUT),
    zipped(
        "absolute path", lambda a: a.writestr("/escaped.png", PNG), excluded("left out", "not a path below")
    ),
    zipped(
        "backslashes", lambda a: a.writestr("cat\\escaped.png", PNG), excluded("left out", "not a path below")
    ),
    zipped(
        "control characters", lambda a: a.writestr("cat/a\x1b[2J.png", PNG), excluded("left out", "U+001B")
    ),
    zipped("bomb", bomb, excluded("left out", "unpack to 70000000")),
    zipped("link", linked, excluded("left out", "a link in an archive")),
    zipped(
        "method that is not read",
        lambda a: a.writestr("cat/x.png", PNG, zipfile.ZIP_LZMA),
        excluded("left out", "method 14"),
    ),
    zipped("one name twice", twice, excluded("left out", "twice in its archive")),
    zipped("HTML as a name", lambda a: a.writestr("cat/<img src=x>.png", PNG), gives(READ)),
    damaged("cut off", "zip", lambda c: c[:-30], refused(KEY, "BadZipFile")),
    damaged("no archive", "zip", lambda c: b"no archive", refused(KEY, "BadZipFile")),
    damaged("empty file", "zip", lambda c: b"", refused(KEY, "BadZipFile")),
    damaged("wrong checksum", "zip", wrong_sum, excluded("unreadable", "damaged")),
    damaged("members that share bytes", "zip", promising, refused(KEY, "inside of another")),
    tarred("path out of it", lambda a: put(a, "../escaped.png", PNG), LEADS_OUT),
    tarred("absolute path", lambda a: put(a, "/escaped.png", PNG), excluded("left out", "not a path below")),
    tarred(
        "symbolic link",
        lambda a: put(a, "cat/x.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        excluded("left out", "a link, or no plain file"),
    ),
    tarred(
        "hard link",
        lambda a: put(a, "cat/x.png", type=tarfile.LNKTYPE, linkname="cat/0.png"),
        excluded("left out", "a link, or no plain file"),
    ),
    tarred(
        "device", lambda a: put(a, "cat/x.png", type=tarfile.CHRTYPE), excluded("left out", "no plain file")
    ),
    tarred("one key twice", lambda a: put(a, "cat/0.png", b"another"), excluded("left out", "twice in its")),
    damaged("cut off", "webdataset", lambda c: c[:2000], refused(KEY, "no end of the archive at byte")),
    damaged("cut off in an image", "webdataset", lambda c: c[:1000], refused(KEY, "unexpected end")),
    damaged(
        "damaged header",
        "webdataset",
        lambda c: c.replace(b"dog/0.png", b"dig/0.png"),
        refused(KEY, "no end of the archive at byte"),
    ),
    damaged("no archive", "webdataset", lambda c: b"x" * 2000, refused(KEY, "ReadError")),
    damaged("compressed", "webdataset", lambda c: b"\x1f\x8b" + c, refused(KEY, "ReadError")),
    damaged("cut off", "parquet", lambda c: c[: len(c) // 2], refused(KEY, "Parquet")),
    damaged("no table", "parquet", lambda c: b"x" * 100, refused(KEY, "Parquet")),
    table("no image in it", refused(KEY, "label"), label=["a", "b"]),
    table(
        "rows without bytes",
        gives(["a/a-0000001.png", "a/a-0000003.png", "no bytes in its row"]),
        image=[PNG, None, PNG],
        label=["a", "a", "a"],
    ),
    table("labels that are lists", refused(KEY, "[1, 2]"), image=[PNG, PNG], label=[[1, 2], [1]]),
]
