"""Stage `index_groups`: which images show the same patient or lesion, so that they can be kept together."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from reliance.errors import RelianceError
from reliance.identity import Stamp, TableSpec, read_table, write_table
from reliance.images.isic import IMAGE_COLUMNS, CsvTable, find_tables, image_name, records, rows_of
from reliance.images.isic import read_ids as isic_ids
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


def index_groups(
    *, index: Path, groups: Path, root: str, layout: str, ids: Path | None = None, dataset: str = ""
) -> Stamp:
    """Write the ids of patients, lesions and the like of a data set's images.

    Parameters
    ----------
    index : of the data set. groups : output, GROUPS; an image without an id has no row.
    root, layout, dataset : as for index_images. For layout "isic" the ids are in its own tables.
    ids : a CSV with a column image (a path below the root, or the name of a file without its suffix) and one
        column per kind of id; it comes before the tables of layout "isic".

    Raises RelianceError if the CSV is not such a table.
    """
    table = read_table(index, INDEX, columns=["split", "image_id", "path"])
    known: dict[str, dict[str, str]] = {}
    if ids is not None:
        known = read_ids(ids)
    elif layout == "isic":
        known = isic_ids(find_tables(Scanner(root, f"datasets.{dataset}.root ({root})")))
    frame = group_frame(table.frame, known)
    log.info("%d ids of %d images", len(frame), len(table.frame))
    rows = list(frame.itertuples(index=False, name=None))
    return write_table(groups, frame, GROUPS, {"content": _digest(rows)}, {"index": table.stamp.id})


def read_ids(path: Path) -> dict[str, dict[str, str]]:
    """Name of an id -> image -> id, from a CSV. Raises RelianceError if it has no column for the image."""
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
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for row in records(CsvTable(path, header, image)):
        for name in names:
            if value := row.get(name, "").strip():
                found[name].setdefault(row[image].strip(), value)
    return found


def group_frame(index: pd.DataFrame, ids: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Rows of GROUPS for an index: an image is known by its path, else by its name."""
    rows = [
        (split, image_id, name, value)
        for split, image_id, path in index[["split", "image_id", "path"]].itertuples(index=False, name=None)
        for name, known in sorted(ids.items())
        if (value := known.get(path) or known.get(image_name(path)))
    ]
    return pd.DataFrame(rows, columns=[name for name, _ in GROUPS.columns])


def _digest(rows: list[tuple[object, ...]]) -> str:
    import hashlib

    return hashlib.sha256("\n".join("\0".join(map(str, row)) for row in rows).encode()).hexdigest()
