"""Image files below the root of a data set: nothing hidden, each file once.

What is an image is decided by the suffix (suffixes.SUFFIXES, upper or lower case). Files are not opened, but
for the first bytes of those whose suffix says nothing. Whatever else lies there is accounted for.
One `os.scandir` per folder and one `stat` per image, for its size and the time of its last change.
"""

import heapq
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.base.telling import tell
from reliance.base.text import unfit
from reliance.images.links import Links, below, joined
from reliance.images.suffixes import (
    NO_IMAGES,
    NOT_READ,
    is_image,
    is_system,
    starts_like_an_image,
    suffix_of,
)

log = logging.getLogger(__name__)
BESIDE = "lies beside containers"


class File(NamedTuple):
    """An image file."""

    path: str  # relative to the root, with forward slashes
    bytes: int
    modified: int = 0  # nanoseconds, when it was last written
    place: str = ""  # where in which container it lies; "" for a file of its own
    caption: str = ""  # what is said about it; several texts on lines of their own


class Scanner:
    """Lists what lies below `root`.

    `left_out` collects (path, reason) of images that are not listed: links to nothing, names that are not
    UTF-8, formats that are not read. `lost` are those of them that nobody asked to be without. `others`
    counts what is no image, by suffix; `told` are lines that a person is to read.
    follow_links : whether links lead anywhere. Without, those out of the root and those to folders that are
        not listed by name (`folders`) are left out, for folders that somebody else filled.
    """

    def __init__(self, root: str | Path, where: str = "root", follow_links: bool = True) -> None:
        """Raises RelianceError, naming `where`, if `root` is not a folder."""
        self.root = Path(root)
        self.where, self.follow_links = where, follow_links
        self.left_out: list[tuple[str, str]] = []
        self.lost: set[str] = set()
        self.others: Counter[str] = Counter()
        self.told: list[str] = []
        self.used: set[str] = set()  # real paths of files that are read for something else, as names.csv
        self.of_systems: set[str] = set()  # folders and files that is_system passes over, but for dot files
        if not self.root.is_dir():
            raise RelianceError(
                where,
                "the root of a data set must be an existing folder",
                found=str(root),
                allowed="the path of a folder with images",
                next_step="correct the path, or mount the disk it is on",
            )
        self._links = Links(str(self.root))

    def leave_out(self, path: str, reason: str) -> None:
        """Note an image that is not listed."""
        self.left_out.append((_shown(path), reason))
        self.lost.add(_shown(path))

    def say(self, message: str) -> None:
        """Tell a person, now and on the page, what became of something below the root."""
        tell(log, "%s: %s", self.where, message)
        self.told.append(message)

    def has_images(self, relative: str) -> bool:
        """Whether there are images below a folder; nothing is noted."""
        return bool(Scanner(self.root, self.where, self.follow_links).images(relative))

    def folders(self, relative: str = "") -> list[str]:
        """Sorted names of the folders directly below `relative`, without hidden ones.

        Raises RelianceError for a link to a folder around it (or out of the root, if links are not followed),
        for two names of one folder, and for a name that is not UTF-8 or has control characters: leaving a
        class out would renumber the others.
        """
        names: list[str] = []
        seen: dict[str, str] = {}
        above = os.path.realpath(os.path.join(self.root, relative))
        for entry in sorted(self._entries(relative), key=lambda e: e.name):
            path = joined(relative, entry.name)
            if not _is_folder(entry):
                if _is_dead(entry) and not is_image(entry.name):
                    self.leave_out(path, "a link to nothing")
                continue
            real = os.path.realpath(entry.path)
            if not self.follow_links and self._links.leads_out(real):
                raise self._refused(path, "a link out of the root")
            if not _is_utf8(entry.name):
                raise self._refused(_shown(path), "a name that is not UTF-8")
            if below(above, real):
                raise self._refused(path, "a link to a folder that it lies in")
            if problem := unfit(entry.name):
                raise self._refused(path, f"a name with {problem}")
            if real in seen:
                raise self._refused(path, f"the same folder as {seen[real]}")
            seen[real] = path
            names.append(entry.name)
        return names

    def images(self, relative: str = "", *, recursive: bool = True) -> list[File]:
        """Images below `relative`, sorted by path; with `recursive` in its subfolders too."""

        def image(entry: os.DirEntry[str], path: str) -> File | None:
            if is_image(entry.name):
                return self._file(entry, path)
            self._account(entry, path)
            return None

        return self._walk(relative, recursive, image)

    def files(self, suffix: str) -> list[File]:
        """Files below the root that end so, sorted by path; images beside them are left out."""

        def container(entry: os.DirEntry[str], path: str) -> File | None:
            if entry.name.lower().endswith(suffix):
                return self._file(entry, path)
            if is_image(entry.name):
                self.left_out.append((_shown(path), BESIDE))
            else:
                self._account(entry, path)
            return None

        return self._walk("", True, container)

    def _walk(
        self, relative: str, recursive: bool, take: Callable[[os.DirEntry[str], str], File | None]
    ) -> list[File]:
        """What `take` gives for the files below a folder."""
        found: list[File] = []
        seen: dict[str, str] = {}
        pending = [(False, self._links.start(relative))]  # what lies there itself comes before what is linked
        while pending:
            _, folder = heapq.heappop(pending)
            if (same := seen.setdefault(folder.real, folder.path)) != folder.path or folder.endless:
                reason = (
                    "a link to a folder that it lies in" if folder.endless else f"the same folder as {same}"
                )
                self.left_out.append((_shown(folder.path), reason))
                continue
            for entry in self._entries(folder.path):
                path = joined(folder.path, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if recursive:
                        heapq.heappush(pending, (bool(folder.trail), folder.inside(entry.name)))
                elif entry.is_symlink() and _is_folder(entry):
                    if not self.follow_links:
                        self.leave_out(path, "a link to a folder")
                    elif recursive:
                        heapq.heappush(pending, (True, folder.behind(entry.name)))
                elif (file := take(entry, path)) is not None:
                    found.append(file)
                    real = os.path.join(folder.real, entry.name)
                    self._links.note(path, os.path.realpath(real) if entry.is_symlink() else real)
        return sorted(self.each_once(found) if self.follow_links else found)

    def each_once(self, files: Sequence[File]) -> list[File]:
        """The files without those that are, through links, the same as another of them."""
        doubles = self._links.doubles(file.path for file in files)
        self.left_out += [(path, f"the same file as {first}") for path, first in sorted(doubles.items())]
        return [file for file in files if file.path not in doubles]

    def _account(self, entry: os.DirEntry[str], path: str) -> None:
        """Note a file that is not read: an image all the same, or what else it is."""
        if self.used and os.path.realpath(entry.path) in self.used:
            return
        suffix = suffix_of(entry.name)
        plain = entry.is_file(follow_symlinks=False)
        if suffix in NOT_READ:
            self.leave_out(path, f"images ending in .{suffix} are not read")
        elif _is_dead(entry):
            self.leave_out(path, "a link to nothing")
        elif plain and suffix not in NO_IMAGES and starts_like_an_image(entry.path):
            self.leave_out(path, "an image whose name does not end like that of one")
        else:
            self.others[f".{_shown(suffix)}" if suffix and len(suffix) <= 10 else "without suffix"] += 1

    def _file(self, entry: os.DirEntry[str], path: str) -> File | None:
        """An image with its size and time, or None, with the reason in `left_out`."""
        reason = None
        if not _is_utf8(path):
            reason = "its name is not UTF-8"
        elif entry.is_symlink() and not os.path.exists(entry.path):
            reason = "a link to nothing"
        elif (
            not self.follow_links
            and entry.is_symlink()
            and self._links.leads_out(os.path.realpath(entry.path))
        ):
            reason = "a link out of the data set's root"
        elif not os.path.isfile(entry.path):
            reason = "not a file"
        if reason is None:
            try:
                about = entry.stat()
                return File(path, about.st_size, about.st_mtime_ns)
            except OSError as error:  # removed just now
                reason = f"{type(error).__name__}: {error.strerror}"
        self.leave_out(path, reason)
        return None

    def _entries(self, relative: str) -> list[os.DirEntry[str]]:
        folder = os.path.join(self.root, relative)
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            raise RelianceError(
                folder,
                "the folders of a data set must be readable",
                found=f"{type(error).__name__}: {error.strerror}",
                allowed="a folder this user may list",
                next_step="check the permissions and that the disk is mounted",
            ) from error
        systems = {e.name for e in found if is_system(e.name)}
        self.of_systems |= {joined(relative, name) for name in systems if not name.startswith(".")}
        return [e for e in found if e.name not in systems]

    def _refused(self, path: str, found: str) -> RelianceError:
        return RelianceError(
            f"{self.where}: {path}",
            "a folder of a data set is a folder of its own below the root, with a name in plain UTF-8",
            found=found,
            allowed="folders below the root, each once, whose names are one line of text",
            next_step="move or mount the folder below the root, rename it, or remove the link"
            + ("" if self.follow_links else "; `images.follow_links: true` follows links out of the root"),
        )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_dead(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link to nothing, or to itself."""
    return entry.is_symlink() and not os.path.exists(entry.path)


def _is_utf8(name: str) -> bool:
    """Whether a name was UTF-8 on disk (Python smuggles other bytes through as lone surrogates)."""
    return name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)


def _shown(name: str) -> str:
    """A name that can be stored: bytes that are not UTF-8 are written as \\x escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
