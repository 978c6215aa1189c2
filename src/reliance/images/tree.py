"""Images that are listed by containers, as the tree of folders that they would be as files.

So what folders mean, which splits there are and how images are divided is said once, for folders (shapes,
folder). Names in containers are untrusted: nothing is written, and a name that is no plain path is left out.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.base.text import unfit
from reliance.images.links import joined
from reliance.images.names import ClassName
from reliance.images.scan import BESIDE, File, Scanner
from reliance.images.shapes import split_of
from reliance.images.suffixes import NOT_READ, is_image, is_system, suffix_of


class Fields(NamedTuple):
    """What the columns of parquet files, or the entries of a shard's .json, are called."""

    image: str = "image"
    label: str = "label"
    split: str | None = None
    name: str | None = None
    caption: str | None = None  # None: one that is usual, if it is there


class Sample(NamedTuple):
    """An image as a container lists it."""

    split: str  # "train", "val", "test", or "" if it is of none
    label: str | int | None  # None: it has none
    file: File  # its path is its name


class Tree(Scanner):
    """A Scanner of images that lie in containers below `root`.

    containers : path below the root -> (bytes, time of the last change) of all with `suffix`.
    names : of classes by folder, and `classes` their order, if containers have them.
    """

    def __init__(self, root: str | Path, where: str = "root", follow_links: bool = True) -> None:
        super().__init__(root, where, follow_links)
        self.suffix = ""
        self.containers: dict[str, tuple[int, int]] = {}
        self.names: dict[str, ClassName] = {}
        self.classes: list[str] = []
        self._files: dict[str, list[File]] = {}
        self._folders: dict[str, set[str]] = {}
        self._paths: set[str] = set()

    def find(self, suffix: str) -> list[str]:
        """Paths of the containers with a suffix below the root, sorted; other files are counted."""
        self.suffix = suffix
        disk = Scanner(self.root, self.where, self.follow_links)
        found = disk.files(suffix)
        self.left_out += disk.left_out
        self.lost |= disk.lost
        self.others += disk.others
        self.containers |= {file.path: (file.bytes, file.modified) for file in found}
        return [file.path for file in found]

    def add(self, file: File) -> bool:
        """Note an image, unless its name cannot be that of one; whether it is listed."""
        parts = file.path.split("/")
        if any(is_system(part) and part not in (".", "..") for part in parts):
            return False
        if reason := _problem(file.path, parts):
            self.leave_out(file.path, reason)
            return False
        if suffix_of(file.path) in NOT_READ:
            self.leave_out(file.path, f"images ending in .{suffix_of(file.path)} are not read")
            return False
        if not is_image(file.path):
            suffix = suffix_of(file.path)
            self.others[f".{suffix}" if suffix and len(suffix) <= 10 else "without suffix"] += 1
            return False
        if file.path in self._paths:
            self.leave_out(file.path, "the same name as an image before it")
            return False
        self._paths.add(file.path)
        *folders, _ = parts
        above = ""
        for name in folders:
            self._folders.setdefault(above, set()).add(name)
            above = joined(above, name)
        self._files.setdefault(above, []).append(file)
        return True

    def folders(self, relative: str = "") -> list[str]:
        """Sorted names of the folders directly below `relative`."""
        return sorted(self._folders.get(relative, ()))

    def images(self, relative: str = "", *, recursive: bool = True) -> list[File]:
        """Images below `relative`, sorted by path; with `recursive` in its subfolders too."""
        found, pending = [], [relative]
        while pending:
            folder = pending.pop()
            found += self._files.get(folder, [])
            if recursive:
                pending += [joined(folder, name) for name in self._folders.get(folder, ())]
        return sorted(found)

    def has_images(self, relative: str) -> bool:
        """Whether there are images below a folder: there are no folders without."""
        return relative in self._folders or relative in self._files


def as_folders(tree: Tree, samples: Sequence[Sample], classes: Sequence[str] | None = None) -> None:
    """Add samples to a tree as SPLIT/CLASS/NAME, by their labels.

    classes : names by label, if containers have them. Numbers without names become folders of as many digits,
    so that their order is that of the numbers. Folders in the names of images say nothing beside labels, nor
    without any: "a/b.jpg" becomes "a_b.jpg". A name that is there already gets that of its container.
    """
    samples = _without_untold_test(tree, samples)
    numbers = [s.label for s in samples if isinstance(s.label, int) and s.label >= 0]
    digits = len(str(max(numbers, default=0)))
    told = {s.label for s in samples if isinstance(s.label, str) and s.label.strip()}
    folders = _folders_of(tree, [*classes] if classes else [])
    _folders_of(tree, sorted(told))
    if classes:
        tree.classes = folders
        tree.names = {
            folder: ClassName(name.partition(",")[0].strip() or name, name)
            for folder, name in zip(folders, classes, strict=True)
        }
    for sample in sorted(samples, key=lambda s: s.file.place):
        if reason := _problem(sample.file.path, sample.file.path.split("/")):
            tree.leave_out(sample.file.path, reason)
            continue
        folder = _folder(sample.label, folders, digits)
        if not folder and (told or numbers):
            tree.leave_out(f"{sample.file.place.rpartition('#')[0]}: {sample.file.path}", "it has no class")
            continue
        path = "/".join(filter(None, [sample.split, folder, _own_name(sample, folder)]))
        file = sample.file._replace(path=path)
        if path in tree._paths:
            stem, dot, suffix = path.rpartition(".")
            container, _, where = file.place.rpartition("#")
            mark = f"{Path(container).stem}-{where.partition('+')[0].replace('/', '_')}"
            file = file._replace(path=f"{stem}~{mark}{dot}{suffix}")
        tree.add(file)


def _folders_of(tree: Tree, names: Sequence[str]) -> list[str]:
    """Names of classes as names of folders. Raises RelianceError if that makes two of them one, or none."""
    folders = [name.replace("/", "_").strip() for name in names]
    for i, (name, folder) in enumerate(zip(names, folders, strict=True)):
        if folder in folders[:i] or not folder or is_system(folder):
            raise RelianceError(
                f"{tree.where}: class {name!r}",
                "names of classes stay different, and are none of a system's, as names of folders",
                found=f"{folder!r}" + (", as of another class" if folder in folders[:i] else ""),
                allowed="names that differ in more than slashes and spaces, and do not begin with a dot",
                next_step="rename the class in the data set, or give it numbers as labels without names",
            )
    return folders


def split_in(tree: Tree, paths: Sequence[str]) -> dict[str, str]:
    """The split of each container, by a word in its name or in a folder's; "" for all if none says one.

    Raises RelianceError if some say one and others do not.
    """
    found = {path: next(filter(None, map(split_of, _words(path))), "") for path in paths}
    silent = [path for path, split in found.items() if not split]
    if silent and len(silent) < len(paths):
        raise RelianceError(
            f"{tree.where}: {silent[0]}",
            "either all containers of a data set say which split they are of, or none does",
            found=f"no split in the name of {silent[0]}, but in that of {next(p for p in paths if found[p])}",
            allowed="names such as train-00000.tar and test-00000.tar, or folders train/ and test/",
            next_step="rename it, move it into the folder of its split, or out of the root",
        )
    return found


def _words(path: str) -> list[str]:
    """Words that a split can be said by: those of the file's name, then the folders' from the inside."""
    *folders, name = path.split("/")
    return [*re.split(r"[-_.\s]+", name.rpartition(".")[0]), *reversed(folders)]


def no_containers(tree: Tree, layout: str, suffix: str, step: str) -> RelianceError:
    """The error for a root in which nothing is found."""
    seen = ", ".join(f"{n} {kind}" for kind, n in tree.others.most_common(6))
    images = sum(reason == BESIDE for _, reason in tree.left_out)
    return RelianceError(
        tree.where,
        f"a data set of layout '{layout}' is a folder with files that end in {suffix}",
        found=", ".join(filter(None, [seen, f"{images} images" if images else ""])) or "an empty folder",
        allowed=f"*{suffix} in the root or below it",
        next_step=f"check the path; {step}",
    )


def _own_name(sample: Sample, folder: str) -> str:
    """The name of an image as one word, without folders of its split and class, which are said already."""
    parts = sample.file.path.split("/")
    for said in (sample.split, folder):
        if len(parts) > 1 and parts[0] == said:
            parts = parts[1:]
    return "_".join(parts)


def _folder(label: str | int | None, folders: Sequence[str], digits: int) -> str:
    """The folder of a label; "" for none."""
    if label is None or (isinstance(label, int) and label < 0):
        return ""
    if isinstance(label, int):
        return folders[label] if label < len(folders) else f"{label:0{digits}}"
    return label.replace("/", "_").strip()


def _without_untold_test(tree: Tree, samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples without a test split that has no labels, if there is a validation split with some."""
    labelled = {s.split for s in samples if s.label not in (None, -1)}
    if "test" in labelled or not {"train", "val"} <= labelled:
        return samples
    kept = [s for s in samples if s.split != "test"]
    if len(kept) < len(samples):
        tree.say(f"split test ({len(samples) - len(kept)} images) is ignored: its images have no class")
    return kept


def _problem(path: str, parts: Sequence[str]) -> str | None:
    if path.startswith("/") or "\\" in path or path[1:3] == ":/":
        return "its name is not a path below the archive"
    if any(part in ("", ".", "..") for part in parts):
        return "its name leads out of the archive, or to nothing"
    if problem := unfit(path):
        return f"its name has {problem}"
    return None
