"""Stage `index_groups`: which images show the same patient or lesion, so that they can be kept together."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from reliance.base.artifacts import Stamp, TableSpec, read_table, write_table
from reliance.base.errors import RelianceError, printable
from reliance.images.isic_tables import IMAGE_COLUMNS, CsvTable, find_tables, image_name, records, rows_of
from reliance.images.isic_tables import read_ids as isic_ids
from reliance.images.scan import Scanner
from reliance.images.tables import INDEX

log = logging.getLogger(__name__)
GROUPS = TableSpec(
    "groups",
    1,
    (
        ("split", "string"),
        ("image_id", "int64"),
        ("name", "string"),  # what kind of id: patient_id, lesion_id, ...
        ("value", "string"),  # never ""
    ),
)


Ids = dict[str, str]  # kind of id -> id, of one image; never ""


class Places(NamedTuple):
    """Where the images of an index stand, by what they can be called."""

    paths: dict[str, int]  # below the root
    names: dict[str, list[int]]  # of files, with and without their suffix; several images can share one


def index_groups(
    *,
    index: Path,
    groups: Path,
    root: str,
    layout: str,
    ids: Path | None = None,
    dataset: str = "",
    follow_links: bool = True,
) -> Stamp:
    """Write the ids of patients, lesions and the like of a data set's images.

    Parameters
    ----------
    index : of the data set. groups : output, GROUPS; an image without an id has no row.
    root, layout, dataset, follow_links : as for index_images. Layout "isic" has the ids in its own tables.
    ids : a CSV with a column image and one column per kind of id; it comes before the tables of layout
        "isic". An image is a path below the root or, where no two images share it, the name of a file with
        or without its suffix. Images that are not listed have no id.

    Raises RelianceError if the CSV is not such a table, if it lists none of the images, if it gives an image
    two ids of one kind, or if an entry can be several images.
    """
    table = read_table(index, INDEX, columns=["split", "image_id", "path"])
    paths = table.frame["path"].tolist()
    if ids is not None:
        known = match(ids, read_ids(ids), paths)
    elif layout == "isic":
        scanner = Scanner(root, f"datasets.{dataset}.root ({root})", follow_links)
        named = isic_ids(find_tables(scanner))
        known = [{k: of[n] for k, of in named.items() if n in of} for n in map(image_name, paths)]
    else:
        known = [{} for _ in paths]
    frame = group_frame(table.frame, known)
    log.info("%d ids of %d images", len(frame), len(paths))
    rows = list(frame.itertuples(index=False, name=None))
    return write_table(groups, frame, GROUPS, {"content": _digest(rows)}, {"index": table.stamp.id})


def read_ids(path: Path) -> list[tuple[str, Ids]]:
    """(image, its ids) of a CSV; rows without an image or without any id are left out.

    Raises RelianceError if it has no column for the image or none for ids.
    """
    header = next(rows_of(path), [])
    image = next((name for name in IMAGE_COLUMNS if name in header), None)
    names = [name for name in header if name and name != image]
    if image is None or not names:
        raise RelianceError(
            f"{path}, line 1",
            "a table of ids has a column that names the image, and one per kind of id",
            found=", ".join(header) or "nothing",
            allowed="image,patient_id, for example",
            next_step="correct the first line (a file with semicolons must be saved with commas)",
        )
    found = []
    for row in records(CsvTable(path, header, image)):
        entry = row.get(image, "").strip()
        own = {name: value for name in names if (value := row.get(name, "").strip())}
        if entry and own:
            found.append((entry, own))
    return found


def match(
    source: Path, listed: Sequence[tuple[str, Ids]], paths: Sequence[str], what: str = "ids"
) -> list[Ids]:
    """The ids of the images with these paths, from the rows of the CSV `source`; `what` they are, for errors.

    Raises RelianceError if no row is about one of the images, or as `_row` and `_join` do.
    """
    known: list[Ids] = [{} for _ in paths]
    places, strangers = _places(paths), []
    for entry, own in listed:
        row = _row(source, entry, places, paths)
        if row is None:
            strangers.append(entry)
        else:
            _join(source, entry, known[row], own)
    if len(strangers) == len(listed):
        example = f"none of the {len(paths)} images is among the {len(listed)} rows with an image and {what}"
        raise RelianceError(
            source,
            f"a table of {what} lists images of the data set",
            found=f"{example}; listed: {strangers[0] if strangers else 'nothing'}",
            allowed=f"paths below the root, such as {paths[0]}, or names, such as {image_name(paths[0])}",
            next_step="write the column of the image in one of these forms",
        )
    if strangers:
        log.warning(
            "%s: %d of %d rows are about no image of the data set, such as %s",
            source,
            len(strangers),
            len(listed),
            printable(strangers[0]),
        )
    return known


def group_frame(index: pd.DataFrame, known: Sequence[Ids]) -> pd.DataFrame:
    """Rows of GROUPS, from the ids of every row of an index."""
    rows = [
        (split, image_id, name, own[name])
        for split, image_id, own in zip(index["split"], index["image_id"], known, strict=True)
        for name in sorted(own)
    ]
    return pd.DataFrame(rows, columns=[name for name, _ in GROUPS.columns])


def _places(paths: Sequence[str]) -> Places:
    names: dict[str, list[int]] = {}
    for row, path in enumerate(paths):
        for name in {PurePosixPath(path).name, image_name(path)}:
            names.setdefault(name, []).append(row)
    return Places({path: row for row, path in enumerate(paths)}, names)


def _row(source: Path, entry: str, places: Places, paths: Sequence[str]) -> int | None:
    """The row of the image that an entry means, None if there is none."""
    if entry in places.paths:
        return places.paths[entry]
    rows = places.names.get(entry, [])
    if len(rows) > 1:
        raise RelianceError(
            source,
            "an entry of a table of ids is one image",
            found=f"{entry}, which can be {paths[rows[0]]} or {paths[rows[1]]} ({len(rows)} images in all)",
            allowed="paths below the root; names only where no two images share them",
            next_step="write the path instead of the name",
        )
    return rows[0] if rows else None


def _join(source: Path, entry: str, known: Ids, own: Ids) -> None:
    """Add ids of an image to those that are known."""
    for name, value in own.items():
        if known.setdefault(name, value) != value:
            raise RelianceError(
                source,
                "an image has one id of a kind",
                found=f"{entry} has {name} {known[name]} and {value}",
                allowed="one row per image, or several that agree",
                next_step="remove the row that is wrong",
            )


def _digest(rows: Sequence[tuple[object, ...]]) -> str:
    return hashlib.sha256("\n".join("\0".join(map(str, row)) for row in rows).encode()).hexdigest()
