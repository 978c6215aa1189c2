"""Layout `webdataset`: tar shards, in which files of one name but for the ending are one image.

`a/b.jpg` is the image of key `a/b`, `a/b.cls` its class (a number or a name), `a/b.json` has it under the
name of `fields.label`, `a/b.txt` is what is said about it (or .json has it, under `fields.caption`). Without
any of these, the folders in the shards are the classes. Shards are read once, for headers and small files;
then every image is known by its place.
"""

import json
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from reliance.base.errors import RelianceError
from reliance.images.captions import USUAL, one_text
from reliance.images.containers.tar import BLOCK, place
from reliance.images.scan import File
from reliance.images.source import Handle
from reliance.images.suffixes import SUFFIXES, is_image, is_system
from reliance.images.tree import Fields, Sample, Tree, as_folders, no_containers, split_in

MOST = 1 << 20  # bytes of a label or of what is said about an image
TOLD = ("cls", "json", "txt")


class Key(NamedTuple):
    """The files of one image."""

    files: dict[str, File]  # by ending
    told: dict[str, bytes]


def fill(tree: Tree, fields: Fields) -> None:
    """Add the images of all shards below the root. Raises RelianceError for a shard that cannot be read."""
    shards = tree.find(".tar")
    if not shards:
        raise no_containers(
            tree,
            "webdataset",
            ".tar",
            "unpack shards that end in .tar.gz with gunzip: nothing can be found in them",
        )
    splits = split_in(tree, shards)
    entries = [(path, entry) for path in shards for entry in read_shard(tree, path).values()]
    if any(entry.told for _, entry in entries):
        found = ((splits[path], _sample(tree, path, entry, fields)) for path, entry in entries)
        as_folders(tree, [sample._replace(split=split) for split, sample in found if sample])
        return
    for path, entry in entries:  # archives of folders, in which a name may have dots
        for file in entry.files.values():
            parts, split = file.path.split("/"), splits[path]
            inside = parts[1:] if split and len(parts) > 1 and parts[0] == split else parts
            tree.add(file._replace(path="/".join([*filter(None, [split]), *inside])))


def labelled(tree: Tree, fields: Fields) -> bool:
    """Whether images have classes, by the first shard."""
    path = tree.find(".tar")[0]
    keys = read_shard(tree, path)
    samples = [_sample(tree, path, entry, fields) for entry in keys.values()]
    if any(entry.told for entry in keys.values()):
        return any(sample and sample.label is not None for sample in samples)
    return any("/" in key for key in keys)


def read_shard(tree: Tree, path: str) -> dict[str, Key]:
    """Key -> files, in the order of the shard; what is no image and says nothing is passed over."""
    _, modified = tree.containers[path]
    found: dict[str, Key] = {}
    file = Handle(str(tree.root / path))
    for member in _members(tree, path):
        folder, _, name = member.name.removeprefix("./").rpartition("/")
        stem, dot, ending = name.partition(".")
        ending = ending.lower()
        shown = f"{path}/{member.name}"
        if is_system(name) or not (dot and (ending in TOLD or is_image(name))):
            if not is_system(name):
                tree.others[f".{ending[-10:]}" if ending else "without suffix"] += 1
        elif not member.isreg() or member.issparse():
            tree.leave_out(shown, "a link, or no plain file, in an archive")
        else:
            key = found.setdefault(f"{folder}/{stem}" if folder else stem, Key({}, {}))
            if ending in key.files or ending in key.told:
                tree.leave_out(shown, "twice in its archive")
            elif ending in TOLD:
                key.told[ending] = file.read(member.offset_data, min(member.size, MOST + 1))
            else:
                header = file.read(member.offset_data - BLOCK, BLOCK)
                where = f"{path}#{place(header, member.offset_data, member.size)}"
                key.files[ending] = File(member.name.removeprefix("./"), member.size, modified, where)
    return found


def _members(tree: Tree, path: str) -> Iterator[tarfile.TarInfo]:
    """The files of an archive. Raises RelianceError if it is none, or cut off."""
    try:
        with tarfile.open(tree.root / path, "r:") as archive:
            for member in archive:
                if not member.isdir():
                    yield member
                archive.members.clear()  # type: ignore[attr-defined]  # all would be kept
            end = archive.offset
        # A header that is cut off or damaged ends the loop like the zeros behind the last file.
        if Handle(str(tree.root / path)).read(end, BLOCK) != bytes(BLOCK):
            raise tarfile.ReadError(f"no end of the archive at byte {end}")
    except (OSError, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise RelianceError(
            f"{tree.where}: {path}",
            "a shard is a whole tar archive, not compressed",
            found=f"{type(error).__name__}: {error}",
            allowed="the shard as it was made",
            next_step="download or copy it again (gunzip one that is compressed), or move it out of the root",
        ) from error


def _sample(tree: Tree, path: str, entry: Key, fields: Fields) -> Sample | None:
    """The image of a key, None if there is none or what is said about it cannot be read."""
    endings = [e for e in (fields.image, *SUFFIXES) if e in entry.files]
    others = [e for e in entry.files if e not in SUFFIXES and e != fields.image]  # such as seg.png
    if not endings:
        for ending in others:
            tree.leave_out(f"{path}/{entry.files[ending].path}", "no image of its key ends as images do")
        return None
    for ending in [*dict.fromkeys(endings)][1:] + others:
        tree.left_out.append((f"{path}/{entry.files[ending].path}", "another image of its key"))
    file = entry.files[endings[0]]
    try:
        label, caption = _told(entry.told, fields)
    except ValueError as error:
        tree.leave_out(f"{path}/{file.path}", f"what is said about it cannot be read: {error}")
        return None
    return Sample("", label, file._replace(caption=caption))


def _told(told: dict[str, bytes], fields: Fields) -> tuple[str | int | None, str]:
    """(label, caption) from the small files of an image. Raises ValueError."""
    for ending, content in told.items():
        if len(content) > MOST:
            raise ValueError(f".{ending} has more than {MOST} bytes")
    record: Any = json.loads(told["json"]) if "json" in told else {}
    record = record if isinstance(record, dict) else {}
    label = told["cls"].decode().strip() if "cls" in told else record.get(fields.label)
    if isinstance(label, str) and label.removeprefix("-").isdecimal() and len(label) < 10:
        label = int(label)
    if isinstance(label, bool) or not isinstance(label, int | str | None):
        raise ValueError(f"a class is a number or a name, found {type(label).__name__}")
    said = [record.get(name) for name in ([fields.caption] if fields.caption else USUAL)]
    text = told["txt"].decode() if "txt" in told else next((s for s in said if s is not None), None)
    return label, one_text(text)
