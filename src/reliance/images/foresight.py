"""What an index already shows, said before days of embedding: too few images, classes that there are not.

Classes are named by folder and id. `check_index` needs no variant; `check_needs` compares with what a
variant is going to ask for. Errors are raised, what may be meant is told.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reliance.base.artifacts import TableSpec, derived_stamp, read_json, read_table, write_json
from reliance.base.linear_file import read_linear
from reliance.base.telling import tell
from reliance.images.heads import check_sides, in_order
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
    top_n: int = 0  # naming.top_n: strongest images that give a component its name
    m: int = 0  # sae.m, k and batch_size; 0 without an SAE
    k: int = 0
    batch_size: int = 0
    subsets: int = 0  # faithfulness.subsets
    probe: str = ""  # file of a classifier of others


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


def check_data(
    *, index: Path, classes: Path, needs: Needs, variant: str, checked: Path, guarded: str = ""
) -> None:
    """Stage: what the index says of a variant's plans, before anything is learned for it; it is told, too.

    needs : settings. checked : output, {"warnings": [...]}. guarded : what the same stage writes elsewhere
    and tells: told is what is not in there, nothing while it is still to be written. Raises RelianceError
    as `check_needs`.
    """
    ids = {name: read_table(file, spec).stamp.id for name, file, spec in _read(index, classes)}
    warnings = check_needs(index, classes, needs)
    stamp = derived_stamp(KIND, SCHEMA, {"variant": variant, "needs": needs._asdict()}, ids)
    write_json(checked, {"warnings": warnings}, stamp)
    if guarded and not Path(guarded).exists():
        return
    known = read_json(Path(guarded), KIND, SCHEMA)[0]["warnings"] if guarded else []
    for warning in warnings:
        if warning not in known:
            tell(log, "%s: %s", variant, warning)


def check_needs(index: Path, classes: Path, needs: Needs) -> list[str]:
    """Warnings about what a variant needs and its data set has not.

    Which stages need it depends on what is built: what some of them refuse is a warning here. Raises
    RelianceError for classes of an audit that there are not, or that several are called, and for a classifier
    of others with rows for other classes.
    """
    table, named = (read_table(file, spec).frame for _, file, spec in _read(index, classes))
    class_ids(classes, named, needs.positive, "audit.positive")
    class_ids(classes, named, needs.negative or (), "audit.negative")
    if needs.probe:
        head = in_order(needs.probe, read_linear(needs.probe), classes, named)
        check_sides(head, needs.positive, needs.negative)
    warnings = []
    train = table[table["split"] == "train"]
    asked = needs if (train["class_id"] >= 0).any() else needs._replace(mines=False, subsets=0)
    if proposed := proposal(len(train), int((table["split"] == "test").sum()), asked):
        words = ", ".join(f"{key}: {value}" for key, value in proposed.items())
        warnings.append(
            f"for {len(train)} images to train on these settings fit better, all at once: {words}. Without "
            "them batches and subsets are as large as the images allow, and components that fire on too few "
            "images have no name"
        )
    if len(train) < needs.min_active:
        warnings.append(
            f"{len(train)} images to train on are fewer than naming.min_active = {needs.min_active}: no "
            "component will be named"
        )
    if needs.mines:
        warnings += _mined(train, table[table["split"] == "test"], named, needs)
    return warnings


def proposal(train: int, test: int, needs: Needs) -> dict[str, int]:
    """Settings that fit a data set better than those asked for; only what is too large is listed.

    With m of about train x k / 25 a latent fires on 25 to 50 images on average. A tenth of train, but two at
    least, are asked for to name a component or list a case; a batch is at most a quarter.
    """
    rare = max(2, train // 10)
    k = min(needs.k, max(2, train // 10))
    fits = {
        "sae.m": (needs.m, max(16, 2 ** round_down(train * k / 25)), 4),
        "sae.k": (needs.k, k, 1),
        "sae.batch_size": (needs.batch_size, max(2, 2 ** round_down(train / 4)), 4),
        "naming.min_active": (needs.min_active, rare, 1),
        "naming.top_n": (needs.top_n, rare, 1),
        "failures.min_samples": (needs.min_samples if needs.mines else 0, rare, 1),
        "failures.every_nth": (needs.every_nth if needs.mines else 0, 1, max(1, train // 1000)),
        "faithfulness.subsets": (needs.subsets, max(2, test // 2), 1),
    }
    return {key: fit for key, (asked, fit, slack) in fits.items() if asked > slack * fit}


def round_down(number: float) -> int:
    """The exponent of the largest power of two up to a number of at least 1."""
    return max(0, int(number).bit_length() - 1)


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
