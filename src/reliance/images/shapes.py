"""What folders of images mean, by their names and by what lies in them, and shapes that are mistakes.

A folder that is no class becomes one without a word, if nobody looks: a split under another name, a data set
unzipped into a folder of its own name, a root one level too high, masks beside images.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.images.classes import WNID
from reliance.images.scan import File, Scanner

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "validate"),
    "test": ("test", "testing", "eval", "evaluation"),
}
CONTAINERS = (  # folders that only say what files are
    "images", "image", "imgs", "img", "jpegimages", "jpg", "jpeg", "png", "photos", "pictures",
)  # fmt: skip
MASKS = (  # and folders of what images are not
    "masks", "mask", "labels", "label", "annotations", "annotation", "segmentation",
    "segmentations", "gt", "groundtruth", "depth", "depths", "thumbnails", "thumbs",
)  # fmt: skip
ALLOWED = "CLASS/*.jpg below the root, or train/CLASS/*.jpg and test/CLASS/*.jpg (or val/)"


class Group(NamedTuple):
    """Images of one class folder in one split."""

    split: str
    folder: str  # name of the class folder, "" for images without label
    files: list[File]
    class_id: int | None = None  # given by the layout; None: the folder's place among all class folders


class Inside(NamedTuple):
    """What lies in a class folder, below folders that only hold it."""

    path: str  # relative to the root
    direct: bool  # whether there are images in the folder itself
    folders: list[str]  # sorted names of its folders with images


def split_of(name: str) -> str | None:
    """The split that a folder's name stands for, in any case: "train", "val" or "test"."""
    key = _key(name)
    for ending in ("set", "data", "images", "split"):
        key = key.removesuffix(ending)
    return next((split for split, names in SPLITS.items() if key in names), None)


def check_names(scanner: Scanner, groups: Sequence[Group]) -> None:
    """Raise RelianceError for two class folders whose names differ in case or Unicode form only."""
    seen: dict[str, str] = {}
    for folder in sorted({group.folder for group in groups}):
        same = seen.setdefault(
            unicodedata.normalize("NFC", unicodedata.normalize("NFC", folder).casefold()), folder
        )
        if same != folder:
            raise _mistake(
                f"{scanner.where}: {folder}",
                f"{_written(same, folder)}, which differ in case or in the form of their letters only",
                "they are one class in two spellings (of two splits, or of two systems): give both one name",
            )


def check_classes(scanner: Scanner, above: str, groups: Sequence[Group]) -> None:
    """Raise RelianceError where a folder that became a class is no class.

    above : the folder of the class folders, "" for the root. groups : with the images of each, not divided.
    """
    names = [group.folder for group in groups]
    if names and {_key(name) for name in names} <= {*CONTAINERS, *MASKS}:
        raise _no_classes(scanner, above, names)
    for group in groups:
        path = f"{above}/{group.folder}" if above else group.folder
        _check_masks(scanner, path, group)
        inside = look_inside(path, group.files)
        split = split_of(group.folder)
        if split and not (split == "train" and inside.direct and not inside.folders and _others(names)):
            raise _named_like_a_split(scanner, above, group, names)
        if not inside.direct and len(inside.folders) > 0:
            _check_nested(scanner, above, group, inside, len(groups))


def look_inside(path: str, files: Sequence[File]) -> Inside:
    """The folder that holds a class's images: itself, or one in it that is called "images" or like it."""
    while True:
        parts = [file.path[len(path) + 1 :].split("/") for file in files]
        folders = sorted({part[0] for part in parts if len(part) > 1})
        inside = Inside(path, any(len(part) == 1 for part in parts), folders)
        own = path.rsplit("/", 1)[-1]
        if inside.direct or len(folders) != 1 or _key(folders[0]) not in {*CONTAINERS, _key(own)}:
            return inside
        path = f"{path}/{folders[0]}"


def _check_masks(scanner: Scanner, path: str, group: Group) -> None:
    """Raise RelianceError if masks or the like would count as images of a class."""
    inner = {part for file in group.files for part in file.path[len(path) + 1 :].split("/")[:-1]}
    masks = sorted(part for part in inner if _key(part) in MASKS)
    if masks:
        raise _mistake(
            f"{scanner.where}: {path}",
            f"images in its folder {masks[0]}"
            + (f", beside {_listed(inner - {*masks})}" if inner - {*masks} else ""),
            "these are masks or labels, not images to look at: move such folders out of the root",
        )


def _check_nested(scanner: Scanner, above: str, group: Group, inside: Inside, count: int) -> None:
    """Raise RelianceError unless the folders in a class divide its images: patients, dates, numbers."""
    splits = [name for name in inside.folders if split_of(name)]
    stems = {re.sub(r"[\d\s_\-.]+", " ", name).strip().casefold() for name in inside.folders}
    numbered = all(any(c.isdigit() for c in name) for name in inside.folders) and len(stems) == 1
    wordnet = all(WNID.fullmatch(name) for name in inside.folders)
    if numbered and not wordnet and not splits and count > 1:
        return
    holds = f"no image, but the folders {_listed(inside.folders)}"
    if above and count == 1 and split_of(group.folder):
        raise _named_like_a_split(scanner, above, group, [group.folder])
    if splits and count > 1:
        step = "splits lie inside classes: move them up, to train/CLASS and test/CLASS"
    elif count == 1:
        step = (
            f"the root is one level too high: point root at {scanner.root / inside.path}"
            if not above
            else f"it was unzipped into one more folder: move what is in {inside.path} up into {above}"
        )
    else:
        meant = "" if above else f"if you meant {scanner.root / inside.path}, give that path; "
        step = (
            f"{meant}if these are the classes, move them up into {above or 'the root'} (as {group.folder}_"
            f"{inside.folders[0]}, for example); if they divide the images of one class, move the images up"
        )
    raise _mistake(f"{scanner.where}: {inside.path}", holds, step)


def _named_like_a_split(scanner: Scanner, above: str, group: Group, names: Sequence[str]) -> RelianceError:
    path = f"{above}/{group.folder}" if above else group.folder
    others = [name for name in names if name != group.folder]
    if above:
        found = f"{path}: a split in the split {above}"
        step = f"it was unzipped twice, or into a folder of its own: move what is in {path} up into {above}"
    else:
        found = f"{group.folder}, the name of a split, beside {_listed(others)}"
        step = (
            "for splits, the root has train and test (or val), each with the class folders in it; move other "
            "folders out of the root, or rename this one if it is a class"
        )
    return _mistake(f"{scanner.where}: {path}", found, step)


def _no_classes(scanner: Scanner, above: str, names: Sequence[str]) -> RelianceError:
    images = next((name for name in names if _key(name) in CONTAINERS), names[0])
    inner = f"{above}/{images}" if above else images
    step = f"move what is in {inner} up into {above}" if above else f"point root at {scanner.root / inner}"
    found = f"nothing but {_listed(names)}, which say what files are and not what images show"
    return _mistake(f"{scanner.where}: {above or '.'}", found, step)


def _mistake(where: str, found: str, step: str) -> RelianceError:
    return RelianceError(
        where,
        "every folder of images is a class, and is named for what its images show",
        found=found,
        allowed=ALLOWED,
        next_step=step,
    )


def _others(names: Collection[str]) -> bool:
    """Whether there are classes beside what is named like a split."""
    return any(split_of(name) is None for name in names)


def _key(name: str) -> str:
    return re.sub(r"[\s_\-.]+", "", unicodedata.normalize("NFC", name).casefold())


def _written(*names: str) -> str:
    """Names that may look alike, told apart by their code points where they do."""
    alike = len({unicodedata.normalize("NFC", name) for name in names}) == 1
    return " and ".join(ascii(name) if alike else name for name in names)


def _listed(names: Collection[str]) -> str:
    first = sorted(names)[:4]
    return ", ".join(first) + (f", ... ({len(names)} in all)" if len(names) > 4 else "")
