"""Layout `isic`: the challenges of the International Skin Imaging Collaboration, as they are downloaded.

| year | ground truth | class of an image |
|---|---|---|
| 2019 | image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK | the column that is 1 |
| 2020 | image_name,...,target | malignant (1) or benign (0) |
| 2024 | isic_id,malignant or isic_id,target,... | the same (the challenge's own site or Kaggle) |

The images of 2024 may be crops inside a file train-image.hdf5.
Tables are known by their columns; they lie in the root or directly in one of its folders. Images are known by
their names, in whatever folders they lie below the root. A ground truth with "test" in its name is that of
split "test"; without one, `split` divides the images, by patient or lesion where the tables have these ids.
What a table says and no image fits, or the other way round, is left out, and listed with the reason.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from reliance.base.errors import RelianceError
from reliance.images.accounts import NO_IMAGE
from reliance.images.containers.crops import crop_sizes
from reliance.images.folder import DEFAULT_SPLIT, divide
from reliance.images.isic_tables import (
    CODES,
    IMAGE_COLUMNS,
    TARGET_COLUMNS,
    CsvTable,
    find_tables,
    headers,
    image_name,
    kept_together,
    own_files,
    read_ids,
    records,
)
from reliance.images.names import ClassName
from reliance.images.scan import File, Scanner
from reliance.images.shapes import Group
from reliance.images.source import HDF5

log = logging.getLogger(__name__)
TARGETS = {0.0: "benign", 1.0: "malignant"}
NAMES = {
    "AK": ClassName("actinic keratosis", "actinic keratosis"),
    "BCC": ClassName("basal cell carcinoma", "basal cell carcinoma"),
    "BKL": ClassName("benign keratosis", "benign keratosis, seborrheic keratosis, solar lentigo"),
    "DF": ClassName("dermatofibroma", "dermatofibroma"),
    "MEL": ClassName("melanoma", "melanoma"),
    "NV": ClassName("melanocytic nevus", "melanocytic nevus, mole"),
    "SCC": ClassName("squamous cell carcinoma", "squamous cell carcinoma"),
    "UNK": ClassName("unknown skin lesion", "unknown skin lesion"),
    "VASC": ClassName("vascular lesion", "vascular lesion"),
    "benign": ClassName("benign skin lesion", "benign skin lesion"),
    "malignant": ClassName("malignant skin lesion", "malignant skin lesion"),
}


def list_isic(scanner: Scanner, split: Mapping[str, Any] | None = None) -> list[Group]:
    """Groups of a challenge, one per class and split.

    split : {"test": share, "seed": int}, if there is no ground truth of a test set.
    Raises RelianceError if there is no ground truth or more than one for a split, if a table cannot be
    read, or if `split` is given beside a test set.
    """
    tables = find_tables(scanner)
    truths = _truths(scanner, tables)
    if split is not None and "test" in truths:
        raise RelianceError(
            f"{scanner.where}, split",
            "images with a test set are not divided again",
            found=f"split = {dict(split)}, and {truths['test'].path}",
            allowed="split: null",
            next_step="remove `split`, or move the ground truth of the test set out of the root",
        )
    said = {name: labels(table) for name, table in truths.items()}
    for image in set(said["train"]) & set(said.get("test", ())):
        scanner.left_out.append((image, "in the ground truth of both splits; kept to test on"))
        del said["train"][image]
    files = _files(scanner, {image for rows in said.values() for image in rows})
    groups = [g for name, rows in said.items() for g in _groups(scanner, name, rows, files)]
    listed = {image for rows in said.values() for image in rows}
    strangers = [file.path for name, file in files.items() if name not in listed]
    scanner.left_out += [(path, "not in the ground truth") for path in strangers]
    if strangers:
        scanner.say(f"{len(strangers)} images are not in the ground truth, such as {strangers[0]}")
    if "test" in truths:
        return groups
    share = {**DEFAULT_SPLIT, **(split or {})}
    return _divide(groups, read_ids(tables), float(share["test"]), int(share["seed"]))


def labels(table: CsvTable) -> dict[str, tuple[str, str]]:
    """Image -> (class, ""), or ("", why it has none), from a ground truth."""
    found: dict[str, tuple[str, str]] = {}
    for line, row in enumerate(records(table), start=2):
        image = row.pop(table.image, "").strip()
        if image:
            name, reason = _class_of(row, table)
            if image in found and found[image][0] != name:
                name, reason = "", f"two labels: {found[image][0] or 'none'} and {name or 'none'}"
            where = f"{table.path.name}, line {line}: {reason}" if reason else ""
            found[image] = (name, where)
    return found


def _class_of(row: Mapping[str, str], table: CsvTable) -> tuple[str, str]:
    """(class, "") or ("", why there is none) from the cells of a row."""
    target = None if len(table.one_hot) > 1 else table.target
    cells = {name: _number(row.get(name, "")) for name in ([target] if target else table.one_hot)}
    strange = [name for name, value in cells.items() if value not in (0.0, 1.0, None)]
    if strange:
        return "", f"{strange[0]} is {row[strange[0]]!r}, neither 0 nor 1"
    if target:
        value = cells[target]
        return ("", "no label") if value is None else (TARGETS[value], "")
    chosen = [name for name, value in cells.items() if value == 1.0]
    if len(chosen) == 1:
        return chosen[0], ""
    return "", f"two labels: {', '.join(chosen)}" if chosen else "no label"


def _number(cell: str) -> float | None:
    """The number in a cell, None if it is empty, NaN if it is something else."""
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _truths(scanner: Scanner, tables: Sequence[CsvTable]) -> dict[str, CsvTable]:
    """Split -> its ground truth."""
    found: dict[str, list[CsvTable]] = {}
    for table in tables:
        if table.is_truth:
            found.setdefault("test" if "test" in table.path.name.lower() else "train", []).append(table)
    if "train" in found and all(len(several) == 1 for several in found.values()):
        return {name: several[0] for name, several in found.items()}
    every = [table.path.name for several in found.values() for table in several]
    raise RelianceError(
        scanner.where,
        "a data set of layout 'isic' has one ground truth to train on, and perhaps one to test on",
        found=", ".join(every) or _no_truth(scanner),
        allowed=f"a CSV in the root or directly in one of its folders, with a column "
        f"{' or '.join(IMAGE_COLUMNS)} and either the columns {', '.join(CODES)} or a column "
        f'{" or ".join(TARGET_COLUMNS)}; the name of one to test on has "test" in it, and '
        '"submission" is in the names of guesses, which are not read',
        next_step="put the table of one year beside its images; make other years data sets of their own, and "
        "move other versions of a table out of the root",
    )


def _no_truth(scanner: Scanner) -> str:
    """Where a ground truth was looked for, and what was seen there."""
    seen = [
        f"{path.relative_to(scanner.root)} has {', '.join(line[:8]) or 'an empty first line'}"
        + ", ..." * (len(line) > 8)
        for path, line in headers(scanner)
    ]
    places = " and ".join(["the root", *(f"{folder}/" for folder in scanner.folders()[:4])])
    return f"no table of this kind in {places}: " + ("; ".join(seen) or "no CSV file at all")


def _files(scanner: Scanner, wanted: set[str]) -> dict[str, File]:
    """Image -> its file; images that are no files are looked for in HDF5 files."""
    files: dict[str, File] = {}
    for file in scanner.images(""):
        name = image_name(file.path)
        if name in files:
            scanner.left_out.append((file.path, f"the same name as {files[name].path}"))
        else:
            files[name] = file
    if wanted - set(files):
        for folder in ("", *scanner.folders()):
            for path in own_files(scanner, folder, HDF5):
                relative = path.relative_to(scanner.root).as_posix()
                for name, size in crop_sizes(path).items():
                    files.setdefault(name, File(f"{relative}/{name}", size))
    return files


def _groups(
    scanner: Scanner, split: str, said: Mapping[str, tuple[str, str]], files: Mapping[str, File]
) -> list[Group]:
    """Images of a split by class; rows without a class or an image are left out, with the reason."""
    found: dict[str, list[File]] = {}
    without: set[str] = set()
    for image, (name, reason) in said.items():
        file = files.get(image)
        if file is None and not reason:
            scanner.leave_out(image, NO_IMAGE)
            without.add(name)
        elif file is None:
            scanner.left_out.append((image, reason))
        elif reason:
            scanner.left_out.append((file.path, reason))
        else:
            found.setdefault(name, []).append(file)
    for name in sorted(without - set(found)):
        scanner.say(f"class {name} has no images in the split {split}, and rows in the ground truth")
    return [Group(split, name, sorted(own)) for name, own in sorted(found.items())]


def _divide(groups: list[Group], ids: Mapping[str, Mapping[str, str]], test: float, seed: int) -> list[Group]:
    """Groups of "train" and "test"; images of one patient (or lesion) stay together.

    An id falls into "test" by a keyed hash, so the share is not exact, and new images move no others.
    """
    if not ids:
        return divide(groups, test, seed)
    together = kept_together(ids)
    divided: dict[tuple[str, str], list[File]] = {}
    for group in groups:
        for file in group.files:
            key = together.get(image_name(file.path), file.path)
            part = int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:8]) / 2**64
            divided.setdefault(("test" if part < test else "train", group.folder), []).append(file)
    return [Group(split, folder, files) for (split, folder), files in sorted(divided.items())]
