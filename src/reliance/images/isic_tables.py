"""CSV tables about the images of the layout `isic`: where they lie, what they tell, and how they are read."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.images.scan import Scanner

IMAGE_COLUMNS = ("image", "image_name", "isic_id")
ID_COLUMNS = ("patient_id", "lesion_id")  # the wider one first
CODES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
TARGET_COLUMNS = ("target", "malignant")


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
    def target(self) -> str | None:
        """The column that says malignant (1) or benign (0)."""
        return next((name for name in TARGET_COLUMNS if name in self.header), None)

    @property
    def is_truth(self) -> bool:
        """Whether it says what an image shows."""
        guesses = "submission" in self.path.name.lower()
        return not guesses and (len(self.one_hot) > 1 or self.target is not None)

    @property
    def ids(self) -> list[str]:
        """Columns of patients or lesions."""
        return [name for name in ID_COLUMNS if name in self.header]


def find_tables(scanner: Scanner) -> list[CsvTable]:
    """The CSV files in the root and in its folders whose columns name images."""
    tables = []
    for path, header in headers(scanner):
        image = next((name for name in IMAGE_COLUMNS if name in header), None)
        if image:
            tables.append(CsvTable(path, header, image))
    return tables


def headers(scanner: Scanner) -> Iterator[tuple[Path, list[str]]]:
    """(path, first line) of the CSV files in the root and directly in its folders, not deeper."""
    for folder in ("", *scanner.folders()):
        for path in own_files(scanner, folder, (".csv",)):
            yield path, next(rows_of(path), [])


def own_files(scanner: Scanner, folder: str, suffixes: Sequence[str]) -> list[Path]:
    """Files of a folder by suffix, without hidden ones; without links out of the root if none is followed."""
    inside = scanner.root.resolve()
    paths = sorted((scanner.root / folder).iterdir())
    return [
        path
        for path in paths
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and path.is_file()
        and (scanner.follow_links or path.resolve().is_relative_to(inside))
    ]


def image_name(path: str) -> str:
    """What the tables call an image: the name of its file, or of a crop, without its suffix."""
    return PurePosixPath(path).stem


def read_ids(tables: Sequence[CsvTable]) -> dict[str, dict[str, str]]:
    """Name of an id -> image -> id, from all tables that have one; empty cells are left out."""
    found: dict[str, dict[str, str]] = {}
    for table in tables:
        for row in records(table) if table.ids else ():
            image = row.get(table.image, "").strip()
            for name in table.ids:
                value = row.get(name, "").strip()
                if image and value:
                    found.setdefault(name, {}).setdefault(image, value)
    return found


def kept_together(ids: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Image -> a name of all the images that it is kept together with, from what `read_ids` gives.

    Images of one patient are kept together, and so are those of one lesion, if only some of them name the
    patient. The name is the first of all their ids, patients before lesions.
    """
    keys: dict[str, list[tuple[int, str]]] = {}
    for rank, name in enumerate(ID_COLUMNS):
        for image, value in ids.get(name, {}).items():
            keys.setdefault(image, []).append((rank, value))
    above: dict[tuple[int, str], tuple[int, str]] = {}

    def first(key: tuple[int, str]) -> tuple[int, str]:
        while key in above:
            key = above[key]
        return key

    for own in keys.values():
        low, *rest = sorted({first(key) for key in own})
        above.update((key, low) for key in rest)
    roots = {image: first(own[0]) for image, own in keys.items()}
    return {image: f"{ID_COLUMNS[rank]} {value}" for image, (rank, value) in roots.items()}


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
