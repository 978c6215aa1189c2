"""What became of the files of a data set since they were indexed, without opening them."""

import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

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

    A file is another one if its size differs or it was written at another time: after the index, if that does
    not keep times or in another folder. What the index left out is not new. Of images in containers it is the
    container that counts (in another folder its size alone), and one that is new is named itself; images
    inside HDF5 files are not looked at. Raises RelianceError if there is no root.
    """
    table, stamp = read_table(index, INDEX)
    about = read_about(index)
    elsewhere, root = root is not None, root or about.get("root")
    if root is None or not os.path.isdir(root):
        raise RelianceError(
            index,
            "images are compared with the index in the folder that it was made from",
            found="an index that does not name its folder" if root is None else f"{root} is not a folder",
            allowed="the root of the data set",
            next_step="name it with --root PATH, or mount the disk it is on",
        )
    if containers := about.get("containers"):
        scanner = Scanner(root, follow_links=about.get("follow_links", True))
        return _of_containers(table, containers, scanner, elsewhere)
    made = index.stat().st_mtime_ns
    times = itertools.repeat(0) if elsewhere or "modified" not in table else table["modified"].tolist()
    gone, changed, listed = [], [], set()
    for path, size, time in zip(table["path"].tolist(), table["bytes"].tolist(), times, strict=False):
        listed.add(path)
        try:
            now = os.stat(os.path.join(root, path))
        except FileNotFoundError:
            gone.append(path)
        except NotADirectoryError:
            continue  # inside an HDF5 file
        else:
            if now.st_size != size or (now.st_mtime_ns != time if time else now.st_mtime_ns > made):
                changed.append(path)
    scanner = Scanner(root, follow_links=about.get("follow_links", True))
    found = {file.path for file in scanner.images()}
    known = listed | {path for path, _ in stamp.params["left_out"]}
    return Changes(sorted(gone), sorted(changed), sorted(found - known))


def _of_containers(
    table: pd.DataFrame, containers: Mapping[str, Any], scanner: Scanner, elsewhere: bool
) -> Changes:
    """Images of containers that are gone or were written since, and the containers that are new.

    elsewhere : whether they lie in another folder, where a copy may have another time.
    """
    parts = 1 if elsewhere else 2  # of (bytes, time)
    listed = {path: tuple(about)[:parts] for path, about in containers["listed"].items()}
    found = scanner.files(containers["suffix"])
    now = {file.path: (file.bytes, file.modified)[:parts] for file in found}
    of = table["place"].str.rpartition("#")[0]
    lost, other = ([p for p in listed if p not in now], [p for p in listed if now.get(p) != listed[p]])
    gone = sorted(table.loc[of.isin(lost), "path"])
    changed = sorted(table.loc[of.isin(other) & ~of.isin(lost), "path"])
    return Changes(gone, changed, sorted(set(now) - set(listed)))


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
