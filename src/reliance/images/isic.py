"""Layout `isic`: the challenges of the International Skin Imaging Collaboration, as they are downloaded.

| year | ground truth | class of an image |
|---|---|---|
| 2019 | image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK | the column that is 1 |
| 2020 | image_name,...,target | malignant (1) or benign (0) |
| 2024 | isic_id,target,... | the same; images may be crops inside a file train-image.hdf5 |

Tables are known by their columns, images by their names, in whatever folders they lie below the root. A
ground truth with "test" in its name is that of split "test"; without one, `split` divides the images, by
patient or lesion where the tables have these ids. What a table says and no image fits, or the other way
round, is left out, and listed with the reason.
"""

import csv
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from reliance.errors import RelianceError
from reliance.images.decode import HDF5, crop_sizes
from reliance.images.folder import DEFAULT_SPLIT, Group, divide
from reliance.images.names import ClassName
from reliance.images.scan import File, Scanner

log = logging.getLogger(__name__)
IMAGE_COLUMNS = ("image", "image_name", "isic_id")
ID_COLUMNS = ("patient_id", "lesion_id")  # the wider one first
CODES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
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
CLASS, REASON = "class", "reason"


class CsvTable(NamedTuple):
    """A CSV file about images."""

    path: Path
    header: list[str]
    image: str  # the column that names the image

    @property
    def one_hot(self) -> list[str]:
        """Columns of classes."""
        return [name for name in self.header if name in CODES]

    @property
    def is_truth(self) -> bool:
        """Whether it says what an image shows."""
        guesses = "submission" in self.path.name.lower()
        return not guesses and (len(self.one_hot) > 1 or "target" in self.header)

    @property
    def ids(self) -> list[str]:
        """Columns of patients or lesions."""
        return [name for name in ID_COLUMNS if name in self.header]


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
    scanner.left_out += [(f.path, "not in the ground truth") for n, f in files.items() if n not in listed]
    if "test" in truths:
        return groups
    share = {**DEFAULT_SPLIT, **(split or {})}
    return _divide(groups, read_ids(tables), float(share["test"]), int(share["seed"]))


def find_tables(scanner: Scanner) -> list[CsvTable]:
    """The CSV files in the root and in its folders whose columns name images."""
    tables = []
    for folder in ("", *scanner.folders()):
        for path in _own(scanner, folder, (".csv",)):
            header = next(rows_of(path), [])
            image = next((name for name in IMAGE_COLUMNS if name in header), None)
            if image:
                tables.append(CsvTable(path, header, image))
    return tables


def image_name(path: str) -> str:
    """What the tables call an image: the name of its file, or of a crop, without its suffix."""
    return PurePosixPath(path).stem


def labels(table: CsvTable) -> dict[str, tuple[str, str]]:
    """Image -> (class, ""), or ("", why it has none), from a ground truth."""
    found: dict[str, tuple[str, str]] = {}
    for line, row in enumerate(records(table), start=2):
        image = row.pop(table.image, "").strip()
        if image:
            name, reason = _class_of(row, table.one_hot)
            if image in found and found[image][0] != name:
                name, reason = "", f"two labels: {found[image][0] or 'none'} and {name or 'none'}"
            where = f"{table.path.name}, line {line}: {reason}" if reason else ""
            found[image] = (name, where)
    return found


def read_ids(tables: Sequence[CsvTable]) -> dict[str, dict[str, str]]:
    """Name of an id -> image -> id, from all tables that have one; empty cells are left out."""
    found: dict[str, dict[str, str]] = {}
    for table in tables:
        for row in records(table) if table.ids else ():
            for name in table.ids:
                if value := row.get(name, "").strip():
                    found.setdefault(name, {}).setdefault(row[table.image].strip(), value)
    return found


def records(table: CsvTable) -> Iterator[dict[str, str]]:
    """The rows below the header; of a row that is too short the last cells are missing."""
    rows = rows_of(table.path)
    next(rows, None)
    for row in rows:
        yield dict(zip(table.header, row, strict=False))


def rows_of(path: Path) -> Iterator[list[str]]:
    """All rows of a CSV file in UTF-8. Raises RelianceError if it is not one."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            yield from csv.reader(stream, strict=True)
    except (OSError, ValueError, csv.Error) as error:
        raise RelianceError(
            path,
            "tables of images are CSV files in UTF-8",
            found=f"{type(error).__name__}: {error}",
            allowed="the files as they were downloaded",
            next_step="download it again, or move a file that is not about the images out of the root",
        ) from error


def _class_of(row: Mapping[str, str], one_hot: Sequence[str]) -> tuple[str, str]:
    """(class, "") or ("", why there is none) from the cells of a row."""
    cells = {name: _number(row.get(name, "")) for name in (one_hot or ["target"])}
    strange = [name for name, value in cells.items() if value not in (0.0, 1.0, None)]
    if strange:
        return "", f"{strange[0]} is {row[strange[0]]!r}, neither 0 nor 1"
    if not one_hot:
        value = cells["target"]
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
        found=", ".join(every) or "no table with an image column and classes or a target",
        allowed=f"a CSV with a column {' or '.join(IMAGE_COLUMNS)} and either the columns "
        f"{', '.join(CODES)} or a column target",
        next_step="put the table of one year beside its images; make other years data sets of their own, and "
        "move other versions of a table out of the root",
    )


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
            for path in _own(scanner, folder, HDF5):
                relative = path.relative_to(scanner.root).as_posix()
                for name, size in crop_sizes(path).items():
                    files.setdefault(name, File(f"{relative}/{name}", size))
    return files


def _own(scanner: Scanner, folder: str, suffixes: Sequence[str]) -> list[Path]:
    """Files of a folder by suffix, without hidden ones and links out of the root."""
    inside = scanner.root.resolve()
    paths = sorted((scanner.root / folder).iterdir())
    return [
        path
        for path in paths
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and path.is_file()
        and path.resolve().is_relative_to(inside)
    ]


def _groups(
    scanner: Scanner, split: str, said: Mapping[str, tuple[str, str]], files: Mapping[str, File]
) -> list[Group]:
    """Images of a split by class; rows without a class or an image are left out, with the reason."""
    found: dict[str, list[File]] = {}
    for image, (name, reason) in said.items():
        file = files.get(image)
        if file is None:
            scanner.left_out.append((image, reason or "in the ground truth, but there is no such image"))
        elif reason:
            scanner.left_out.append((file.path, reason))
        else:
            found.setdefault(name, []).append(file)
    return [Group(split, name, sorted(own)) for name, own in sorted(found.items())]


def _divide(groups: list[Group], ids: Mapping[str, Mapping[str, str]], test: float, seed: int) -> list[Group]:
    """Groups of "train" and "test"; images of one patient (or lesion) stay together.

    An id falls into "test" by a keyed hash, so the share is not exact, and new images move no others.
    """
    if not ids:
        return divide(groups, test, seed)
    divided: dict[tuple[str, str], list[File]] = {}
    for group in groups:
        for file in group.files:
            name = image_name(file.path)
            key = next((f"{i} {ids[i][name]}" for i in ID_COLUMNS if name in ids.get(i, {})), file.path)
            part = int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:8]) / 2**64
            divided.setdefault(("test" if part < test else "train", group.folder), []).append(file)
    return [Group(split, folder, files) for (split, folder), files in sorted(divided.items())]
