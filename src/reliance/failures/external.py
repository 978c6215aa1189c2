"""Failure cases found elsewhere: a folder of images per case, or two tables, in the miner's format.

A folder `<class id>..._<component>/*.jpg` per case is how the images of Spurious ImageNet (Neuhaus et
al., ICCV 2023) come. Such a list is indexed and embedded like any data set (layout `cases`); here its
folders become cases. `check_cases` holds for lists from anywhere.
"""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, derived_stamp, hash_file, read_table, write_table
from reliance.base.errors import RelianceError, run_again
from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.failures.case_list import (
    COLUMNS,
    FAILURE_SAMPLES,
    KIND,
    SCHEMA,
    SOURCES,
    write_failures,
)
from reliance.images.cases import parse_case
from reliance.images.tables import CLASSES, INDEX

log = logging.getLogger(__name__)

SPLIT = "cases"  # of the index of a list's folder
_KIND_OF = {"neuhaus": "spurious"}  # what a source is known for; otherwise "other"


def list_external(
    *,
    index: Path,
    classes: Path,
    failures: Path,
    failure_samples: Path,
    dataset: str,
    source: str,
    kind: str | None = None,
    root: str | None = None,
    home_index: Path | None = None,
    home_root: str | None = None,
) -> Stamp:
    """Write the cases of a folder of cases.

    index : INDEX of the folder (split "cases"); classes : CLASSES of the data set they are cases of.
    kind : of all cases; None is "spurious" for Neuhaus et al., else "other".
    root, home_index, home_root : if all are given, images that are also images of their own class in
    the data set are looked for by content, because they would count as both class and distractor.
    Returns the stamp; raises RelianceError for unknown classes, numbers that are none, and duplicates.
    """
    images, index_stamp = read_table(index, INDEX)
    known, classes_stamp = read_table(classes, CLASSES, columns=["class_id"])
    cases, samples = folder_cases(index, images[images["split"] == SPLIT], dataset, source, kind)
    params = {"dataset": dataset, "source": source, "kind": kind}
    ids = {"index": index_stamp.id, "classes": classes_stamp.id}
    if root is not None and home_index is not None and home_root is not None:
        home, home_stamp = read_table(home_index, INDEX)
        ids["home_index"] = home_stamp.id
        refuse_duplicates(images, Path(root), home, Path(home_root))
    stamp = derived_stamp(KIND, SCHEMA, params, ids)
    check_cases(index, cases, samples, set(known["class_id"].tolist()))
    write_failures(failures, cases, stamp)
    write_table(failure_samples, samples, FAILURE_SAMPLES, {}, {"failures": stamp.id})
    log.info("%d cases with %d images", len(cases), len(samples))
    return stamp


def folder_cases(
    where: Path, images: pd.DataFrame, dataset: str, source: str, kind: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(cases, samples) of the rows of an index whose first folder names the case.

    A case's rank is its place among the folders of its class, in the order of their names.
    """
    if source not in SOURCES or (kind is not None and kind not in FAILURE_KINDS):
        raise ValueError(f"unknown source {source!r} or kind {kind!r}")
    cases, samples = [], []
    ranks: dict[int, int] = {}
    for folder, rows in images.groupby(images["path"].str.split("/").str[0], sort=True):
        parsed = parse_case(str(folder))
        if parsed is None or not re.fullmatch("[0-9]{1,9}", parsed.component):
            raise RelianceError(
                f"{where}, {folder}",
                "the folder of a failure case is named <class id>..._<component>, both whole numbers",
                found=str(folder),
                allowed="for example 2_great_white_shark_1",
                next_step="rename the folder",
            )
        class_id, component = parsed.class_id, int(parsed.component)
        ranks[class_id] = ranks.get(class_id, 0) + 1
        name = f"{class_id}-{component}-{dataset}"
        cases.append((name, ranks[class_id], class_id, component, str(folder)))
        samples.append(rows[["image_id"]].assign(failure_id=name, dataset=dataset, split=SPLIT))
    frame = pd.DataFrame(cases, columns=["failure_id", "rank", "class_id", "component", "note"])
    shared = {"kind": kind or _KIND_OF.get(source, "other"), "mode": "", "source": source, "reviewed": "yes"}
    frame = frame.assign(**shared, score=np.nan, q_value=np.nan)
    return frame[list(COLUMNS)], pd.concat(samples, ignore_index=True)


def check_cases(where: Path, cases: pd.DataFrame, samples: pd.DataFrame, class_ids: set[int]) -> None:
    """Raise RelianceError unless every class is known and cases and images name each other.

    Every case has at least one image, every image belongs to a listed case, and none is named twice.
    """
    unknown = sorted(set(cases["class_id"]) - class_ids)
    if unknown:
        allowed = f"{min(class_ids)} to {max(class_ids)}" if class_ids else "none"
        raise _refused(where, "cases are of classes of the data set", f"class {unknown[0]}", allowed)
    twice = cases.loc[cases["failure_id"].duplicated(), "failure_id"]
    if len(twice):
        raise _refused(where, "a failure_id is unique", f"{twice.iloc[0]} twice", "one row per case")
    empty = sorted(set(cases["failure_id"]) - set(samples["failure_id"]))
    if empty:
        raise _refused(where, "every case has images", f"{empty[0]} without any", "at least one each")
    stray = sorted(set(samples["failure_id"]) - set(cases["failure_id"]))
    if stray:
        raise _refused(where, "every image belongs to a listed case", stray[0], "the listed failure_ids")
    repeated = samples[samples.duplicated()]
    if len(repeated):
        found = " ".join(map(str, repeated.iloc[0]))
        raise _refused(where, "an image is named once per case", f"{found} twice", "each image once")


def refuse_duplicates(images: pd.DataFrame, root: Path, home: pd.DataFrame, home_root: Path) -> None:
    """Raise RelianceError if an image of a case is, byte for byte, an image of the case's own class.

    images, home : rows of INDEX. Only files of equal size and class are opened.
    """
    columns = ["class_id", "bytes"]
    pairs = images.merge(home[[*columns, "path"]], on=columns, suffixes=("", "_home"))
    hashes: dict[Path, str] = {}
    for own, other in zip(pairs["path"], pairs["path_home"], strict=True):
        files = root / own, home_root / other
        for file in files:
            if file not in hashes:
                hashes[file] = hash_file(file)
        if hashes[files[0]] == hashes[files[1]]:
            raise RelianceError(
                files[0],
                "a distractor is not an image of the class it is confused with",
                found=f"the same image as {files[1]}",
                allowed="images that show something else",
                next_step=f"remove this image from the case, then {run_again('index_images')}",
            )


def _refused(where: Path, rule: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        where,
        rule,
        found=found,
        allowed=allowed,
        next_step="correct the list; failures.tsv of a mined variant shows the form",
    )
