"""Layout `folder`: a user's own images, with or without splits and class folders.

| below the root | means |
|---|---|
| train/ and test/ (or val/) | two splits; class folders inside each, or just images; see shapes.SPLITS |
| class folders | one set, divided by `split` |
| images | one set without labels (class_id -1), divided by `split` |

A class folder may have subfolders beside its images. Images that lie beside class folders are left out, and
named. Folders that are no classes are refused (shapes).
"""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from reliance.base.errors import RelianceError
from reliance.images.links import joined
from reliance.images.scan import Scanner
from reliance.images.shapes import ALLOWED, Group, check_classes, check_names, split_of

__all__ = ["DEFAULT_SPLIT", "Group", "class_folders", "divide", "has_classes", "list_folder"]

log = logging.getLogger(__name__)
HALF = 0.5
DEFAULT_SPLIT = {"test": 0.2, "seed": 0}


def list_folder(scanner: Scanner, split: Mapping[str, Any] | None = None) -> list[Group]:
    """Groups of an own folder.

    split : {"test": share, "seed": int}; None takes DEFAULT_SPLIT if the folder has no splits.
    Raises RelianceError if `split` is given for a folder that has its own splits, or if a folder is neither
    a split nor a class.
    """
    names = split_folders(scanner)
    if names is None:
        share = {**DEFAULT_SPLIT, **(split or {})}
        return divide(_checked(scanner, {"": ""}), float(share["test"]), int(share["seed"]))
    if split is not None and "test" in names:
        raise RelianceError(
            f"{scanner.where}, split",
            "a folder that has its own splits is not divided again",
            found=f"split = {dict(split)}, and the folders {', '.join(names.values())}",
            allowed="split: null for this folder",
            next_step="remove `split`, or point root at the folder that should be divided",
        )
    groups = _checked(scanner, names)
    if "test" in names:
        return groups
    share = {**DEFAULT_SPLIT, **(split or {})}
    return divide(groups, float(share["test"]), int(share["seed"]))


def _checked(scanner: Scanner, names: Mapping[str, str]) -> list[Group]:
    """Groups of the classes in the folder of each split, all of which are classes."""
    groups = []
    for name, folder in names.items():
        own = class_folders(scanner, folder, name)
        check_classes(scanner, folder, [group for group in own if group.folder])
        groups += each_once(scanner, own)
    check_names(scanner, groups)
    return groups


def class_folders(scanner: Scanner, relative: str, split: str) -> list[Group]:
    """One group per class folder below `relative`, or one group "" if there are only images."""
    groups = []
    for name in scanner.folders(relative):
        files = scanner.images(joined(relative, name))
        if files:
            groups.append(Group(split, name, files))
        else:
            _say_empty(scanner, joined(relative, name))
    if groups:
        leave_out_loose(scanner, relative, "lies beside class folders")
        return groups
    loose = scanner.images(relative, recursive=False)
    return [Group(split, "", loose)] if loose else []


def each_once(scanner: Scanner, groups: list[Group]) -> list[Group]:
    """The groups of a split without files that are, through links, the same as another of the split."""
    kept = {file.path for file in scanner.each_once([file for group in groups for file in group.files])}
    found = [group._replace(files=[f for f in group.files if f.path in kept]) for group in groups]
    doubles = sum(len(group.files) for group in groups) - len(kept)
    if doubles:
        scanner.say(f"{doubles} links to images that stand in the split already, in any class, are left out")
    for group in found:
        if not group.files:
            scanner.say(f"class {group.folder} has no images but those of other classes, and is ignored")
    return [group for group in found if group.files]


def leave_out_loose(scanner: Scanner, relative: str, reason: str) -> None:
    """Note the images of a folder that stands for something else than a class."""
    for file in scanner.images(relative, recursive=False):
        scanner.leave_out(file.path, reason)


def divide(groups: list[Group], test: float, seed: int) -> list[Group]:
    """Split every group into train and test: a file is to test on if its keyed hash is below `test`.

    A group of two or more gives at least one file to each side, and at most half of it to test on where no
    more than that is asked for; a single file is for training.
    The hash depends on the seed and the path only, so that the share is not exact and new images move no
    others; only a file that was lent to a side that had none goes back when that side gets one of its own.
    """
    divided = []
    for group in groups:
        count = len(group.files)
        shares = {file.path: _share(f"{seed} {file.path}") for file in group.files}
        order = sorted(shares, key=lambda path: shares[path])
        below = sum(share < test for share in shares.values())
        most = count - 1 if test > HALF else count // 2  # chance leaves a small class something to train on
        chosen = set(order[: min(max(1, below), most)])
        for name, inside in (("train", False), ("test", True)):
            files = [file for file in group.files if (file.path in chosen) == inside]
            if files:
                divided.append(group._replace(split=name, files=files))
    return divided


def _share(key: str) -> float:
    """A number from 0 to 1 that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def has_classes(scanner: Scanner) -> bool:
    """Whether there are class folders, seen without listing all images."""
    folders = scanner.folders()
    splits = [name for name in folders if split_of(name)]
    inside = [joined(name, inner) for name in splits for inner in scanner.folders(name)]
    return any(map(scanner.has_images, [name for name in folders if name not in splits] + inside))


def split_folders(scanner: Scanner) -> dict[str, str] | None:
    """Split name -> folder, or None if the root holds the class folders or images themselves."""
    folders = scanner.folders()
    named: dict[str, str] = {}
    for folder in folders:
        if split := split_of(folder):
            if split in named:
                raise _one_split_twice(scanner, split, named[split], folder)
            named[split] = folder
    others = [name for name in folders if name not in named.values()]
    whole = "train" in named and len(named) > 1
    if not named or (not whole and any(map(scanner.has_images, others))):
        return None  # a class may be called train, as one of several; others are refused as classes
    held_out = [named[name] for name in ("test", "val") if name in named]
    if "train" not in named:
        raise RelianceError(
            scanner.where,
            "a folder with a split to test on has one to train on",
            found=f"{' and '.join(folders)} without train",
            allowed="train and test (or val), or the class folders themselves",
            next_step=f"add the folder train, or point root at {held_out[0]} to divide what is in it",
        )
    used = [named["train"], *held_out[:1]]
    found = dict(zip(("train", "test"), used, strict=False))
    said = f"splits: {', '.join(f'{folder} (to {name} on)' for name, folder in found.items())}"
    log.info("%s: %s", scanner.where, said)
    if not set(used) <= {"train", "test", "val"}:
        scanner.say(said)
    for name in folders:
        if name not in used:
            scanner.say(f"folder {name} is ignored (the splits are {', '.join(used)})")
    leave_out_loose(scanner, "", "lies beside the folders of the splits")
    return found


def _say_empty(scanner: Scanner, path: str) -> None:
    lost = sum(name.startswith(f"{path}/") for name in scanner.lost)
    why = f", because its images ({lost}) are left out" if lost else ""
    scanner.say(f"class folder {path} has no images and is ignored{why}")


def _one_split_twice(scanner: Scanner, split: str, first: str, second: str) -> RelianceError:
    return RelianceError(
        scanner.where,
        "a split is one folder",
        found=f"{first} and {second}, which both name the split {split}",
        allowed=ALLOWED,
        next_step="move one of them out of the root, or the images of both into one",
    )
