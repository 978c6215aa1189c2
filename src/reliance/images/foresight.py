"""What an index already shows, said before days of embedding: too few images, classes that there are not.

Classes are named by folder and id. `check_index` needs no variant; `check_needs` compares with what a
variant is going to ask for. Errors are raised, what may be meant is told.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reliance.base.artifacts import TableSpec, derived_stamp, read_table, write_json
from reliance.base.telling import tell
from reliance.images.lookup import class_ids
from reliance.images.tables import CLASSES, INDEX

log = logging.getLogger(__name__)
SHOWN = 5
KIND, SCHEMA = "checked", 1


class Needs(NamedTuple):
    """What a variant may ask of the images of its data set, whatever is built of it first."""

    mines: bool = False  # cases, from every `every_nth` training image that has a class
    every_nth: int = 1
    min_active: int = 0  # naming.min_active: a component needs so many images to be analysed
    min_samples: int = 0  # failures.min_samples: a case needs so many images
    positive: Sequence[str | int] = ()  # classes of an audit
    negative: Sequence[str | int] | None = None


def check_index(index: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    """Warnings about a data set, from its rows of INDEX and CLASSES."""
    counts = counted(index, classes)
    warnings = []
    labelled = counts[(counts["train"] > 0) | (counts["test"] > 0)]
    if len(labelled) == 1:
        warnings.append(f"there is one class, {_named(labelled)}: nothing can be told from it")
    for split, other, what in (("test", "train", "to test on"), ("train", "test", "to train on")):
        without = counts[(counts[split] == 0) & (counts[other] > 0)]
        if len(without):
            warnings.append(f"{_of(without, counts)} have no image {what}: {_named(without)}")
    single = counts[counts["train"] == 1]
    if len(single):
        warnings.append(f"{_of(single, counts)} have one image to train on: {_named(single)}")
    for split in ("train", "test"):
        own = index[index["split"] == split]
        unknown = int((own["class_id"] < 0).sum())
        if unknown and len(labelled):
            warnings.append(f"{unknown} of {len(own)} images of split {split} have no class")
    return warnings


def check_data(*, index: Path, classes: Path, needs: Needs, variant: str, checked: Path) -> None:
    """Stage: what the index says of a variant's plans, before anything is learned for it.

    needs : settings. checked : output, {"warnings": [...]}. Raises RelianceError as `check_needs`.
    """
    ids = {name: read_table(file, spec).stamp.id for name, file, spec in _read(index, classes)}
    warnings = check_needs(index, classes, needs, variant)
    stamp = derived_stamp(KIND, SCHEMA, {"variant": variant, "needs": needs._asdict()}, ids)
    write_json(checked, {"warnings": warnings}, stamp)


def check_needs(index: Path, classes: Path, needs: Needs, variant: str = "") -> list[str]:
    """Warnings about what a variant needs and its data set has not; they are told, too.

    Which stages need it depends on what is built: what some of them refuse is a warning here. Raises
    RelianceError for classes of an audit that there are not, or that several are called.
    """
    table, named = (read_table(file, spec).frame for _, file, spec in _read(index, classes))
    class_ids(classes, named, needs.positive, "audit.positive")
    class_ids(classes, named, needs.negative or (), "audit.negative")
    warnings = []
    train = table[table["split"] == "train"]
    if len(train) < needs.min_active:
        warnings.append(
            f"{len(train)} images to train on are fewer than naming.min_active = {needs.min_active}: no "
            "component will be named"
        )
    if needs.mines:
        warnings += _mined(train, table[table["split"] == "test"], named, needs)
    for warning in warnings:
        tell(log, "%s: %s", variant or index, warning)
    return warnings


def _mined(train: pd.DataFrame, test: pd.DataFrame, classes: pd.DataFrame, needs: Needs) -> list[str]:
    """Warnings of a variant that mines cases and scores them; rows of INDEX, and of CLASSES."""
    looked_at = train[(train["class_id"] >= 0) & (train["image_id"] % needs.every_nth == 0)]
    if looked_at.empty:
        return ["no image to train on has a class: there will be components and names, but no cases"]
    warnings = []
    which = "images to train on" + (f", one in {needs.every_nth}" if needs.every_nth > 1 else "")
    counts = looked_at["class_id"].value_counts().reindex(classes["class_id"], fill_value=0).to_numpy()
    if len(single := classes[counts < 2]):
        warnings.append(
            f"{_of(single, classes)} have fewer than two images among {which}, and cannot "
            f"have a case: {_named(single)}"
        )
    if len(looked_at) - counts[counts > 0].min() < needs.min_samples:
        warnings.append(
            f"{len(looked_at)} images ({which}) are too few for cases of failures.min_samples = "
            f"{needs.min_samples} images of other classes"
        )
    untested = classes[~classes["class_id"].isin(test["class_id"])]
    if len(untested):
        warnings.append(
            f"{_of(untested, classes)} have no image to test on: no linear probe can be compared with, and "
            f"Figs. 5 and 14 end in an error: {_named(untested)}"
        )
    return warnings


def _read(index: Path, classes: Path) -> list[tuple[str, Path, TableSpec]]:
    return [("index", index, INDEX), ("classes", classes, CLASSES)]


def counted(index: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """Rows of CLASSES with the columns train and test: their images in each."""
    counts = index.groupby(["class_id", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=classes["class_id"], columns=["train", "test"], fill_value=0)
    return classes.assign(train=counts["train"].to_numpy(), test=counts["test"].to_numpy())


def _of(some: pd.DataFrame, classes: pd.DataFrame) -> str:
    return f"{len(some)} of {len(classes)} classes"


def _named(classes: pd.DataFrame) -> str:
    rows = zip(classes["folder"], classes["class_id"], strict=True)
    words = [f"{folder} (class {i})" for folder, i in rows]
    return ", ".join(words[:SHOWN]) + (", ..." if len(words) > SHOWN else "")
