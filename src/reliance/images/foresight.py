"""What an index already shows, said before days of embedding: too few images, classes that there are not.

Classes are named by folder and id. `check_index` needs no variant; `check_needs` compares with what a
variant is going to ask for. Errors are raised, what may be meant is told.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.base.telling import tell
from reliance.images.lookup import class_ids
from reliance.images.tables import CLASSES, INDEX

log = logging.getLogger(__name__)
SHOWN = 5


class Needs(NamedTuple):
    """What a variant asks of the images of its data set."""

    mines: bool = False  # cases, which needs labelled test images of at least two classes
    probe: bool = False  # a linear probe, which needs every class in split train
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


def check_needs(index: Path, classes: Path, needs: Needs, variant: str = "") -> list[str]:
    """Warnings about what a variant needs and its data set has not; they are told, too.

    Raises RelianceError for what would end in an error later: classes of an audit that there are not, no
    labelled test images to mine, a class that the probe cannot learn, fewer images than min_active.
    """
    table, named = read_table(index, INDEX).frame, read_table(classes, CLASSES).frame
    counts = counted(table, named)
    class_ids(classes, named, needs.positive, "audit.positive")
    class_ids(classes, named, needs.negative or (), "audit.negative")
    tested = counts[counts["test"] > 0]
    if needs.mines and len(tested) < 2:
        found = f"{len(tested)} classes with test images{': ' + _named(tested) if len(tested) else ''}"
        raise _refused(index, variant, "cases are mined in test images of two classes or more", found)
    untrained = counts[counts["train"] == 0]
    if needs.probe and len(untrained):
        found = f"{len(untrained)} of {len(counts)} classes have no image to train on: {_named(untrained)}"
        raise _refused(index, variant, "a linear probe learns from images of every class", found)
    train = int((table["split"] == "train").sum())
    if train < needs.min_active:
        found = f"{train} images, with naming.min_active: {needs.min_active}"
        raise _refused(index, variant, "split train has images enough for a component to be analysed", found)
    warnings = check_index(table, named)
    few = tested[tested["test"] < needs.min_samples]
    if needs.mines and len(few):
        warnings.append(
            f"{len(few)} of {len(tested)} classes have fewer test images than failures.min_samples = "
            f"{needs.min_samples}, and cannot have a case there: {_named(few)}"
        )
    for warning in warnings:
        tell(log, "%s: %s", variant or index, warning)
    return warnings


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


def _refused(index: Path, variant: str, rule: str, found: str) -> RelianceError:
    return RelianceError(
        f"{variant}: {index}" if variant else index,
        rule,
        found=found,
        allowed="a data set that has them",
        next_step="add images, or divide them otherwise (key `split`, or the folders train and test), before "
        "anything is embedded",
    )
