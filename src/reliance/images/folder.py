"""Layout `folder`: a user's own images, with or without splits and class folders.

| below the root | means |
|---|---|
| train/ and test/ (or val/) | two splits; class folders inside each, or just images |
| class folders | one set, divided by `split` |
| images | one set without labels (class_id -1), divided by `split` |

A class folder may have subfolders. Images that lie beside class folders are left out, and named.
"""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from reliance.base.errors import RelianceError
from reliance.images.scan import File, Scanner

log = logging.getLogger(__name__)
DEFAULT_SPLIT = {"test": 0.2, "seed": 0}


class Group(NamedTuple):
    """Images of one class folder in one split."""

    split: str
    folder: str  # name of the class folder, "" for images without label
    files: list[File]
    class_id: int | None = None  # given by the layout; None: the folder's place among all class folders


def list_folder(scanner: Scanner, split: Mapping[str, Any] | None = None) -> list[Group]:
    """Groups of an own folder.

    split : {"test": share, "seed": int}; None takes DEFAULT_SPLIT if the folder has no splits.
    Raises RelianceError if `split` is given for a folder that has its own splits.
    """
    names = _split_folders(scanner)
    if names is None:
        share = {**DEFAULT_SPLIT, **(split or {})}
        return divide(class_folders(scanner, "", ""), float(share["test"]), int(share["seed"]))
    if split is not None and "test" in names:
        raise RelianceError(
            f"{scanner.where}, split",
            "a folder that has its own splits is not divided again",
            found=f"split = {dict(split)}, and the folders {', '.join(names.values())}",
            allowed="split: null for this folder",
            next_step="remove `split`, or point root at the folder that should be divided",
        )
    groups = [g for name, folder in names.items() for g in class_folders(scanner, folder, name)]
    if "test" in names:
        return groups
    share = {**DEFAULT_SPLIT, **(split or {})}
    return divide(groups, float(share["test"]), int(share["seed"]))


def class_folders(scanner: Scanner, relative: str, split: str) -> list[Group]:
    """One group per class folder below `relative`, or one group "" if there are only images."""
    groups = []
    for name in scanner.folders(relative):
        files = scanner.images(f"{relative}/{name}" if relative else name)
        if files:
            groups.append(Group(split, name, files))
        else:
            log.warning("%s: class folder %s has no images and is ignored", scanner.where, name)
    loose = scanner.images(relative, recursive=False)
    if not groups:
        return [Group(split, "", loose)] if loose else []
    scanner.left_out += [(file.path, "lies beside class folders") for file in loose]
    return groups


def divide(groups: list[Group], test: float, seed: int) -> list[Group]:
    """Split every group into train and test: the round(test x n) files with the smallest keyed hash.

    A group of two or more gives at least one file to each side, a single file is for training.
    The hash depends on the seed and the path only: new images do not move the others much.
    """
    divided = []
    for group in groups:
        count = len(group.files)
        wanted = min(max(1, round(test * count)), count - 1)
        order = sorted(group.files, key=lambda f: hashlib.sha256(f"{seed} {f.path}".encode()).digest())
        chosen = {file.path for file in order[:wanted]}
        for name, inside in (("train", False), ("test", True)):
            files = [file for file in group.files if (file.path in chosen) == inside]
            if files:
                divided.append(group._replace(split=name, files=files))
    return divided


def _split_folders(scanner: Scanner) -> dict[str, str] | None:
    """Split name -> folder, or None if the root holds the class folders or images themselves."""
    folders = scanner.folders()
    if folders and set(folders) <= {"test", "val"}:
        raise RelianceError(
            scanner.where,
            "a folder with a split to test on has one to train on",
            found=f"{' and '.join(folders)} without train",
            allowed="train and test (or val), or the class folders themselves",
            next_step=f"add the folder train, or point root at {folders[0]} to divide what is in it",
        )
    held_out = [name for name in ("test", "val") if name in folders]
    if "train" not in folders or not (held_out or folders == ["train"]):
        return None
    used = ["train", *held_out[:1]]
    for name in folders:
        if name not in used:
            log.warning("%s: folder %s is ignored (the splits are %s)", scanner.where, name, ", ".join(used))
    return dict(zip(("train", "test"), used, strict=False))
