"""Layout `zip`: archives of class folders, read where they are.

One archive stands for its content, without a folder around all of its images. Of several, one that is called
like a split or has images at its top is the folder of its name; others are put together, and a folder around
all images of one of them is passed over only if splits lie in it: else it may be a class.
Nothing is unpacked to the disk. Links, encrypted members and methods other than deflate are left out.
"""

import stat
import struct
import zipfile
from collections import Counter
from pathlib import PurePosixPath

from reliance.base.errors import RelianceError
from reliance.images.containers.zipped import DEFLATED, STORED
from reliance.images.scan import File
from reliance.images.shapes import split_of
from reliance.images.suffixes import is_image, is_system
from reliance.images.tree import Fields, Tree, no_containers

BOMB_BYTES, BOMB_RATIO = 1 << 26, 100  # an image of more bytes that was packed more tightly is none
ENCRYPTED = 1  # bit of a member's flags


def fill(tree: Tree, fields: Fields) -> None:
    """Add the images of all archives below the root. Raises RelianceError for one that cannot be read."""
    archives = tree.find(".zip")
    if not archives:
        raise no_containers(tree, "zip", ".zip", "unpacked images are read with layout: folder")
    tops: Counter[str] = Counter()
    for path in archives:
        files = _members(tree, path)
        folder = str(PurePosixPath(path).with_suffix(""))
        files = _without_wrapper(files, PurePosixPath(folder).name, len(archives) > 1)
        loose = any("/" not in file.path for file in files if is_image(file.path))
        own = split_of(PurePosixPath(folder).name) or (len(archives) > 1 and loose)
        for file in sorted(files):
            tree.add(file._replace(path=f"{folder}/{file.path}") if own else file)
        if not own:
            tops.update({file.path.partition("/")[0] for file in files if is_image(file.path)})
    shared = [name for name, count in tops.items() if count > 1 and not split_of(name)]
    if shared:
        names = ", ".join(sorted(shared)[:3])
        tree.say(f"folders of one name in several archives are one class: {len(shared)}, such as {names}")


def _members(tree: Tree, path: str) -> list[File]:
    """The images of an archive, and what else is not obviously none; by their names in it."""
    size, modified = tree.containers[path]
    found: dict[str, File] = {}
    ends: list[tuple[int, int, str]] = []
    try:
        with zipfile.ZipFile(tree.root / path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise _refused(tree, path, f"{type(error).__name__}: {error}") from error
    for member in members:
        name = member.filename
        ends.append((member.header_offset, member.header_offset + member.compress_size, name))
        if member.is_dir() or any(is_system(part) for part in name.split("/") if part not in (".", "..")):
            continue
        if is_image(name) and (reason := _unfit(member)):
            tree.leave_out(f"{path}/{name}", reason)
        elif is_image(name) and name in found:
            tree.leave_out(f"{path}/{name}", "twice in its archive")
        else:
            numbers = member.header_offset, member.compress_size, member.file_size, member.CRC
            place = "+".join(map(str, (*numbers, member.compress_type)))
            found[name] = File(name, member.file_size, modified, f"{path}#{place}")
    _check_apart(tree, path, sorted(ends), size)
    return list(found.values())


def _unfit(member: zipfile.ZipInfo) -> str | None:
    """Why an image in an archive is not read."""
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link in an archive"
    if member.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if member.compress_type not in (STORED, DEFLATED):
        return f"packed by method {member.compress_type}, which is not read"
    if member.file_size > max(BOMB_BYTES, BOMB_RATIO * member.compress_size):
        return f"{member.compress_size} bytes that unpack to {member.file_size}"
    return None


def _check_apart(tree: Tree, path: str, ends: list[tuple[int, int, str]], size: int) -> None:
    """Raise RelianceError for members that share bytes, as in a bomb, or lie beyond the end."""
    reached = 0
    for start, end, name in ends:
        if start < reached:
            raise _refused(tree, path, f"{name} lies inside of another member")
        reached = end
    if reached > size:
        raise _refused(tree, path, f"{ends[-1][2]} ends at byte {reached} of {size}")


def _without_wrapper(files: list[File], own: str, several: bool) -> list[File]:
    """The images without a folder that holds all of them, unless it is a split, or may be a class."""
    files = [file for file in files if is_image(file.path)]
    while files and all("/" in file.path for file in files):
        top = files[0].path.partition("/")[0]
        same = all(file.path.startswith(f"{top}/") for file in files)
        deep = all(file.path.count("/") > 1 for file in files)
        split = all(split_of(file.path.split("/")[1]) for file in files) if deep else False
        passed = split or (top == own and split_of(own)) if several else deep or top == own
        if not same or top in (".", "..", "") or not passed or (split_of(top) and top != own):
            break
        files = [file._replace(path=file.path.partition("/")[2]) for file in files]
    return files


def _refused(tree: Tree, path: str, found: str) -> RelianceError:
    return RelianceError(
        f"{tree.where}: {path}",
        "a ZIP archive of images is whole, and its members lie one after the other",
        found=found,
        allowed="the archive as it was made",
        next_step="download or copy it again, or move it out of the root",
    )
