"""Symbolic links below the root of a data set: where they lead, and which files are one file.

Links are followed as torchvision's ImageFolder does, because data sets on shared disks are trees of links. A
link to a folder that it lies in would never end; it is left out. A real file counts once per split.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple


class Walk(NamedTuple):
    """A folder to look into."""

    path: str  # relative to the root of the data set, as it is reached
    real: str  # where it lies
    trail: tuple[str, ...] = ()  # real folders in which the links lie that led here

    def inside(self, name: str) -> "Walk":
        """A folder of its own in this one."""
        return Walk(joined(self.path, name), os.path.join(self.real, name), self.trail)

    def behind(self, name: str) -> "Walk":
        """The folder that a link in this one leads to."""
        real = os.path.realpath(os.path.join(self.real, name))
        return Walk(joined(self.path, name), real, (*self.trail, self.real))

    @property
    def endless(self) -> bool:
        """Whether a link on the way lies in the folder that is looked into."""
        return any(below(folder, self.real) for folder in self.trail)


class Links:
    """What was reached through links below `root`: path -> real path."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._real: dict[str, str] = {}

    def leads_out(self, real: str) -> bool:
        """Whether a real path lies outside the root."""
        return not below(real, self._root)

    def start(self, relative: str) -> Walk:
        """The folder of the data set at a path below its root."""
        return Walk(relative, os.path.realpath(os.path.join(self._root, relative)))

    def note(self, path: str, real: str) -> None:
        """Remember where a file lies, if that is not where its path says."""
        if real != os.path.join(self._root, path):
            self._real[path] = real

    def doubles(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> path of the same file, for all paths of a file but one: itself, else the first by name."""
        if not self._real:
            return {}
        kept: dict[str, str] = {}
        found = {}
        for path in sorted(paths, key=lambda path: (path in self._real, path)):
            first = kept.setdefault(self._real.get(path) or os.path.join(self._root, path), path)
            if first != path:
                found[path] = first
        return found


def below(path: str, folder: str) -> bool:
    """Whether a real path is that of a folder, or of something in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def joined(folder: str, name: str) -> str:
    """A path below a folder; "" is the root."""
    return f"{folder}/{name}" if folder else name
