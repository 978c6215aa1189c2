"""What became of the files of a data set since they were indexed, without opening them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_about
from reliance.images.scan import Scanner
from reliance.images.tables import INDEX


class Changes(NamedTuple):
    """Paths relative to the root, sorted."""

    gone: list[str]
    changed: list[str]  # of another size, or written after the index
    new: list[str]  # images that the index has not


def changes(index: Path, root: str | None = None) -> Changes:
    """Compare an index with the files below the root that it was made from, or below another one.

    A file is another one if its size differs or its content was written after the index. What the index left
    out is not new. Images inside HDF5 files are not looked at. Raises RelianceError if there is no root.
    """
    table, stamp = read_table(index, INDEX)
    about = read_about(index)
    root = root or about.get("root")
    if root is None or not os.path.isdir(root):
        raise RelianceError(
            index,
            "images are compared with the index in the folder that it was made from",
            found="an index that does not name its folder" if root is None else f"{root} is not a folder",
            allowed="the root of the data set",
            next_step="name it with --root PATH, or mount the disk it is on",
        )
    made = index.stat().st_mtime
    gone, changed, listed = [], [], set()
    for path, size in zip(table["path"].tolist(), table["bytes"].tolist(), strict=True):
        listed.add(path)
        try:
            now = os.stat(os.path.join(root, path))
        except FileNotFoundError:
            gone.append(path)
        except NotADirectoryError:
            continue  # inside an HDF5 file
        else:
            if now.st_size != size or now.st_mtime > made:
                changed.append(path)
    scanner = Scanner(root, follow_links=about.get("follow_links", True))
    found = {file.path for file in scanner.images()}
    known = listed | {path for path, _ in stamp.params["left_out"]}
    return Changes(sorted(gone), sorted(changed), sorted(found - known))


def sources_gone(checked: Iterable[Path]) -> list[str]:
    """A sentence for every index among the artifacts whose images are gone, or not those that it lists.

    An index from before it named its folder, or whose folder is not here, is passed over: artifacts can be
    verified without the images.
    """
    found = []
    for path in checked:
        root = read_about(path).get("root") if path.name == "index.parquet" else None
        if root is None or not Path(root).is_dir():
            continue
        gone, changed, _ = changes(path)
        for words, paths in (("gone", gone), ("not the file that was indexed", changed)):
            if paths:
                found.append(f"{path}: {len(paths)} images are {words}, such as {paths[0]}")
    return found
