"""The layouts of data sets: what lists their images. A new one is a module and a row of LAYOUTS."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from reliance.base.errors import RelianceError
from reliance.images import parquet_files, webdataset, zips
from reliance.images.cases import list_cases
from reliance.images.folder import has_classes, list_folder
from reliance.images.imagenet import list_imagenet
from reliance.images.isic import NAMES, list_isic
from reliance.images.names import ClassName
from reliance.images.scan import Scanner
from reliance.images.shapes import Group
from reliance.images.tree import Fields, Tree


class Looking(NamedTuple):
    """How one looks below a root."""

    follow_links: bool = True  # whether symbolic links lead anywhere, see Scanner
    fields: Mapping[str, Any] | None = None  # of containers, see tree.Fields
    captions: Path | None = None  # a table of texts about the images, see captions.captioned


AS_USUAL = Looking()


class Asked(NamedTuple):
    """What a layout is asked for."""

    split: Mapping[str, Any] | None  # of images without splits
    classes: pd.DataFrame | None  # rows of CLASSES that cases are of
    fields: Fields


class Layout(NamedTuple):
    """One layout."""

    groups: Callable[[Any, Asked], list[Group]]  # from a scanner
    scanner: type[Scanner] = Scanner
    names: Mapping[str, ClassName] | None = None  # of classes, if a layout has its own
    labelled: Callable[[Any, Fields], bool] | None = None  # told for planning; None: always
    foreseen: bool = True  # whether what it has too little of is told


def _in_folders(fill: Callable[[Tree, Fields], None]) -> Callable[[Tree, Asked], list[Group]]:
    """What lists images in containers as the folders that they would be."""

    def groups(tree: Tree, asked: Asked) -> list[Group]:
        fill(tree, asked.fields)
        return list_folder(tree, asked.split)

    return groups


def _zip_has_classes(tree: Tree, fields: Fields) -> bool:
    zips.fill(tree, fields)
    return has_classes(tree)


def _cases(scanner: Scanner, asked: Asked) -> list[Group]:
    if asked.classes is None:
        raise ValueError("layout 'cases' needs classes_from")
    return list_cases(scanner, asked.classes)


_FOLDER = Layout(
    lambda scanner, asked: list_folder(scanner, asked.split), labelled=lambda scanner, _: has_classes(scanner)
)
LAYOUTS = {
    "folder": _FOLDER,
    "imagenet": Layout(lambda scanner, asked: list_imagenet(scanner)),
    "isic": Layout(lambda scanner, asked: list_isic(scanner, asked.split), names=NAMES),
    "parquet": Layout(_in_folders(parquet_files.fill), Tree, labelled=parquet_files.labelled),
    "webdataset": Layout(_in_folders(webdataset.fill), Tree, labelled=webdataset.labelled),
    "zip": Layout(_in_folders(zips.fill), Tree, labelled=_zip_has_classes),
    "planted": _FOLDER._replace(foreseen=False),
    "cases": Layout(_cases, foreseen=False),
}


def layout_of(name: str, where: str) -> Layout:
    """The row of a layout. Raises RelianceError for one that there is not."""
    if name not in LAYOUTS:
        raise RelianceError(
            f"{where}, layout",
            "the layout of a data set is one that is known",
            found=name,
            allowed=", ".join(LAYOUTS),
            next_step="correct `layout`",
        )
    return LAYOUTS[name]


def labelled(layout: str, root: str | Path, looking: Looking) -> bool:
    """Whether a data set has classes, seen without listing all images, for planning.

    One that cannot be looked at counts as one with classes: whoever lists it says what is wrong.
    """
    row = LAYOUTS[layout]
    if row.labelled is None:
        return True
    try:
        scanner = row.scanner(root, follow_links=looking.follow_links)
        return row.labelled(scanner, Fields(**(looking.fields or {})))
    except (RelianceError, IndexError):
        return True
