"""Stages `index_images` and `gather_excluded`: which images a data set has, and which were unusable."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same, hash_file, read_table, write_table
from reliance.base.errors import RelianceError, printable
from reliance.base.rows import Parts
from reliance.images.accounts import about, check_lost, count
from reliance.images.captions import captioned
from reliance.images.classes import class_table
from reliance.images.foresight import check_index
from reliance.images.layouts import AS_USUAL, Asked, Looking, layout_of
from reliance.images.scan import File, Scanner
from reliance.images.shapes import Group
from reliance.images.slices import paths_of, take
from reliance.images.suffixes import SUFFIXES
from reliance.images.tables import CLASSES, EXCLUDED, INDEX, KEPT, read_split
from reliance.images.tree import Fields, Tree

__all__ = ["CLASSES", "EXCLUDED", "INDEX", "gather_excluded", "index_images", "read_split"]
log = logging.getLogger(__name__)
LEFT_OUT_LIMIT = 1000  # reasons that are kept with the index; their number is logged in full


def index_images(
    *,
    index: Path,
    classes: Path,
    root: str,
    layout: str,
    split: Mapping[str, Any] | None = None,
    names: str | Path | None = None,
    per_class: int | None = None,
    classes_from: Path | None = None,
    plants: Path | None = None,
    dataset: str = "",
    max_invalid: float = 0.001,
    looking: Looking = AS_USUAL,
) -> None:
    """List the images below `root`, without opening them.

    index : output, INDEX, sorted by split, class and path. Its id is a hash of its rows.
    classes : output, CLASSES; class_id is the place of a class folder among all, sorted by name.
    root : the data set's folder.
    layout : a row of layouts.LAYOUTS. Images in containers are listed as the folders that they would be:
        index and identity are those of the same images as files.
    split : {"test": share, "seed": int} for images without splits; None divides by 0.2, 0.
    names : a CSV of class names, also as an input of the rule; without one see classes.class_table.
    per_class : keep the first N images of each class folder in each split (a rehearsal).
    classes_from : for "cases", the classes of the data set that the class ids belong to.
    plants : what the drawing of planted data wrote; its SHA-256 becomes part of the identity,
        because redrawn images may have the same names and sizes.
    dataset : name of the data set in the config, for error messages.
    max_invalid : images that may be left out: a share below 1 (then at least one), else a number.
    Raises RelianceError if the folder does not fit the layout, has no images, or if too many are left out.
    """
    row = layout_of(layout, root)
    where = f"datasets.{dataset}.root ({root})" if dataset else root
    scanner = row.scanner(root, where, looking.follow_links)
    if names:
        scanner.used.add(os.path.realpath(names))
    table = read_table(classes_from, CLASSES).frame if classes_from else None
    groups = row.groups(scanner, Asked(split, table, Fields(**(looking.fields or {}))))
    check_lost(scanner, sum(len(group.files) for group in groups), max_invalid)
    if looking.captions:
        groups = captioned(looking.captions, groups)
    if per_class is not None:
        groups = [group._replace(files=sorted(group.files)[:per_class]) for group in groups]
    if not any(group.files for group in groups):
        raise _no_images(scanner, layout)
    _check_splits(scanner, layout, groups)
    folders = sorted({group.folder for group in groups if group.folder})
    in_tree = scanner if isinstance(scanner, Tree) else None
    if in_tree and set(folders) <= set(in_tree.classes):
        folders = in_tree.classes  # their ids are the labels
    if table is None:
        usual = row.names or (in_tree.names if in_tree and set(folders) <= set(in_tree.names) else None)
        table = class_table(folders, Path(names) if names else None, usual)
    frame = index_frame(groups, dict(zip(table["folder"], table["class_id"], strict=True)))
    left_out = sorted(set(scanner.left_out))
    for path, reason in left_out[:20]:
        log.warning("left out: %s (%s)", printable(path), reason)
    count(scanner, Counter(map(str, frame["split"])), len(table))
    content = _hash_rows(frame[[name for name, _ in INDEX.columns]])
    listed_as = "folder" if in_tree else layout  # one identity, whatever holds the images
    params = {"layout": listed_as, "content": content, "left_out": left_out[:LEFT_OUT_LIMIT]}
    if row.foreseen:
        for warning in check_index(frame, table):
            scanner.say(warning)
    found = {"root": root, **({} if looking.follow_links else {"follow_links": False})}
    if in_tree:
        found["containers"] = {"suffix": in_tree.suffix, "listed": in_tree.containers}
    inputs = {"plants": hash_file(plants)} if plants else {}
    if layout == "planted":  # drawn here, at another time in every run
        frame = frame.drop(columns="modified")
    spec = INDEX._replace(columns=(*INDEX.columns, *(column for column in KEPT if column[0] in frame)))
    write_table(index, frame, spec, params, inputs, about={**about(scanner), **found})
    write_table(classes, table, CLASSES, {"content": _hash_rows(table)}, {})


def gather_excluded(*, index: Path, manifests: Sequence[Path], excluded: Path, splits: Sequence[str]) -> None:
    """Table of the images that were left out of the index or could not be read.

    manifests, splits : manifests of embeddings and the split of each, in the same order.
    excluded : output, EXCLUDED, sorted; image_id is -1 for what the index left out.
    Raises RelianceError if a manifest was made from another index.
    """
    _, stamp = take(index, {})
    rows = [("", -1, path, reason) for path, reason in stamp.params["left_out"]]
    inputs = {"index": stamp.id}
    for number, (manifest, split) in enumerate(zip(manifests, splits, strict=True)):
        parts = Parts(manifest, "embeddings")
        check_same("index", (manifest, parts.stamp.inputs["index"]), (index, stamp.id))
        inputs[f"embeddings_{number}"] = parts.stamp.id
        paths = paths_of(index, split, [row for row, _ in parts.excluded])
        rows += [
            (split, row, path, reason) for path, (row, reason) in zip(paths, parts.excluded, strict=True)
        ]
    frame = pd.DataFrame(sorted(set(rows)), columns=[name for name, _ in EXCLUDED.columns])
    write_table(excluded, frame, EXCLUDED, {"splits": list(splits)}, inputs)


def index_frame(groups: Sequence[Group], class_ids: Mapping[str, int]) -> pd.DataFrame:
    """Rows of INDEX and KEPT, sorted by split, class and path; class -1 where a group has no class.

    `place` is there if images lie in containers, and `caption` if there are texts.
    """
    ids = [g.class_id if g.class_id is not None else class_ids.get(g.folder, -1) for g in groups]
    rows = sorted(
        (group.split, class_id, *file)
        for group, class_id in zip(groups, ids, strict=True)
        for file in group.files
    )
    frame = pd.DataFrame(rows, columns=["split", "class_id", *File._fields])
    frame["image_id"] = frame.groupby("split").cumcount().astype(np.int64)
    empty = [name for name in ("place", "caption") if not (frame[name] != "").any()]
    return frame[[name for name, _ in (*INDEX.columns, *KEPT) if name not in empty]]


def _no_images(scanner: Scanner, layout: str) -> RelianceError:
    entries = sorted(p.name for p in scanner.root.iterdir())[:6]
    left = f"; left out: {scanner.left_out[0][0]} ({scanner.left_out[0][1]})" if scanner.left_out else ""
    return RelianceError(
        scanner.where,
        f"a data set of layout '{layout}' has images",
        found=(", ".join(entries) or "an empty folder") + left,
        allowed=f"files that end in .{', .'.join(SUFFIXES)} (upper or lower case), in class folders or not",
        next_step="check the path; hidden files do not count",
    )


def _check_splits(scanner: Scanner, layout: str, groups: Sequence[Group]) -> None:
    """Raise RelianceError unless there are images to train on and images to test on."""
    counts = {s: sum(len(g.files) for g in groups if g.split == s) for s in ("train", "test")}
    if layout != "cases" and not all(counts.values()):
        raise RelianceError(
            scanner.where,
            "a data set has images to train on and images to test on",
            found=f"{counts['train']} to train on, {counts['test']} to test on",
            allowed="at least one of each; a class of one image gives none to test on",
            next_step="add images, or put some into train/ and some into test/",
        )


def _hash_rows(frame: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(f"{name}\n".encode())
        digest.update("\0".join(map(str, frame[name].tolist())).encode())
    return digest.hexdigest()
