"""Which images the probe learns from, and which it is tested on (App. E).

The paper draws 80 % of the melanomas and 4,000 other images of one pool to learn from, and tests on the rest.
Here the pool is a data set's split "train". Where images are grouped by patient or lesion, groups are drawn
instead of images, so that no group is on both sides.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.schema import AUDIT_SPLIT
from reliance.base.artifacts import Stamp, check_same, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.images.groups import GROUPS
from reliance.images.lookup import class_ids, listed
from reliance.images.tables import CLASSES, INDEX

log = logging.getLogger(__name__)


class Drawn(NamedTuple):
    """Masks over images, [n] bool; an image in neither is not used."""

    fit: np.ndarray
    held_out: np.ndarray  # never of a group that has an image in `fit`


def split_audit(
    *,
    index: Path,
    classes: Path,
    audit_split: Path,
    positive: Sequence[str | int],
    negative: Sequence[str | int] | None = None,
    positive_share: float = 0.8,
    negatives: int = 4000,
    seed: int = 0,
    test_on: str = "test",
    group: str | None = None,
    groups: Path | None = None,
    guarded: Path | None = None,
) -> Stamp:
    """Stage: draw the images that a probe learns from.

    Parameters
    ----------
    index, classes : of the data set. groups : its patients or lesions, needed if `group` is set.
    guarded : of `check_data`, which is waited for and not read.
    audit_split : output, AUDIT_SPLIT.
    positive, negative : classes, see lookup.class_ids; `negative` None: all others.
    positive_share : of the positives of split "train" to learn from. negatives : how many of the others.
    test_on : "test" (that split of the data set) | "rest" (what is left of "train").
    group : name of the ids that must not be on both sides.

    Raises RelianceError if a class is unknown, is positive and negative, or has no images to learn from or to
    test on.
    """
    table, named = read_table(index, INDEX), read_table(classes, CLASSES)
    ids = {"index": table.stamp.id, "classes": named.stamp.id}
    wanted, others = _sides(classes, named.frame, positive, negative)
    rows = chosen_rows(table.frame, wanted, others)
    if group is not None:
        if groups is None:
            raise ValueError("group needs the table of groups")
        rows, ids["groups"] = _with_groups(rows, index, table.stamp, groups, group)
    rows = _with_pool(rows.assign(group=rows.get("group", "")), test_on)
    drawn = _draw_rows(rows, positive_share, negatives, seed, test_on)
    tested = rows["split"].eq("test" if test_on == "test" else "train").to_numpy() & drawn.held_out
    _check_sides(index, rows, drawn.fit, tested, test_on)
    used = rows[drawn.fit | drawn.held_out].assign(fit=drawn.fit[drawn.fit | drawn.held_out])
    params = {
        "positive": sorted(wanted),
        "negative": others and sorted(others),
        "names": _names(named.frame, wanted, others),
        "positive_share": positive_share,
        "negatives": negatives,
        "seed": seed,
        "test_on": test_on,
        "group": group,
    }
    counts = [
        int((side & (rows["positive"] == p)).sum()) for side in (drawn.fit, tested) for p in (True, False)
    ]
    log.info("to learn from: %d positive, %d negative; to test on: %d positive, %d negative", *counts)
    return write_table(audit_split, used, AUDIT_SPLIT, params, ids)


def _sides(
    path: Path, classes: pd.DataFrame, positive: Sequence[str | int], negative: Sequence[str | int] | None
) -> tuple[set[int], set[int] | None]:
    """Ids of both sides; a class is on one of them, however it is written."""
    wanted = class_ids(path, classes, positive, "audit.positive")
    if negative is None:
        return wanted, None
    others = class_ids(path, classes, negative, "audit.negative")
    if both := wanted & others:
        raise RelianceError(
            "audit.negative",
            "a class is positive or negative, not both",
            found=f"on both sides: {listed(classes[classes['class_id'].isin(both)])}",
            allowed="classes that audit.positive does not name; null: all of these",
            next_step="take the class out of audit.positive or audit.negative",
        )
    return wanted, others


def chosen_rows(index: pd.DataFrame, positive: set[int], negative: set[int] | None) -> pd.DataFrame:
    """Images of the two sides: split, image_id, path, positive. Images without a class are of neither."""
    others = set(index["class_id"].unique()) - {-1} if negative is None else negative
    rows = index[index["class_id"].isin(positive | others)]
    rows = rows.assign(positive=rows["class_id"].isin(positive))
    return rows[["split", "image_id", "path", "positive"]].reset_index(drop=True)


def draw(
    positive: np.ndarray, groups: np.ndarray, *, positive_share: float, negatives: int, seed: int
) -> Drawn:
    """Divide images into those to learn from and those held out, groups kept together.

    Parameters
    ----------
    positive : bool [n]. groups : [n] strings or numbers; images of one group stay on one side.

    In an order drawn with `seed`, groups with positives are taken as long as they fit into
    round(positive_share x positives), then groups without as long as there are fewer than `negatives`.
    Negatives of a group that was taken for its positives count first; those that are too many are not used
    at all.
    """
    g = np.random.default_rng(seed)
    names, member = np.unique(groups, return_inverse=True)
    order = g.permutation(len(names))
    n_positive = np.bincount(member, positive, len(names)).astype(np.int64)
    n_negative = np.bincount(member, ~positive, len(names)).astype(np.int64)
    has = n_positive > 0
    taken = _fill(order[has[order]], n_positive, round(positive_share * int(positive.sum())))
    came = int(n_negative[taken].sum())
    taken[_fill(order[~has[order]], n_negative, max(0, negatives - came))] = True
    fit = taken[member]
    extra = np.flatnonzero(fit & ~positive)
    if len(extra) > negatives:
        fit[g.permutation(extra)[negatives:]] = False
    return Drawn(fit, ~taken[member])


def _fill(order: np.ndarray, counts: np.ndarray, room: int) -> np.ndarray:
    """Mask over groups: those of `order`, one after the other, that still fit into `room` images."""
    taken = np.zeros(len(counts), bool)
    for i in order:
        if counts[i] <= room:
            taken[i] = True
            room -= int(counts[i])
    return taken


def _with_pool(rows: pd.DataFrame, test_on: str) -> pd.DataFrame:
    """The rows with `unit`, which names what is drawn as one, and `pool`, whether it can be learned from.

    The pool is "train", without groups that have images in "test" if "test" is tested on.
    """
    named, test = rows["group"] != "", (rows["split"] == "test") & (test_on == "test")
    own = "image " + rows["image_id"].astype(str)  # an image without a group is one of its own
    pool = (rows["split"] == "train") & ~(named & rows["group"].isin(rows.loc[test & named, "group"]))
    return rows.assign(unit=("group " + rows["group"]).where(named, own), pool=pool)


def _draw_rows(rows: pd.DataFrame, positive_share: float, negatives: int, seed: int, test_on: str) -> Drawn:
    """`draw` inside the pool; what is tested on outside of it is held out."""
    pool = rows["pool"].to_numpy(bool)
    drawn = draw(
        rows["positive"].to_numpy()[pool],
        rows["unit"].to_numpy(str)[pool],
        positive_share=positive_share,
        negatives=negatives,
        seed=seed,
    )
    fit = np.zeros(len(rows), bool)
    held_out = (rows["split"] == "test").to_numpy() & (test_on == "test")
    fit[pool], held_out[pool] = drawn.fit, drawn.held_out
    return Drawn(fit, held_out)


def _with_groups(
    rows: pd.DataFrame, index: Path, stamp: Stamp, path: Path, group: str
) -> tuple[pd.DataFrame, str]:
    """The rows with their group ("" where an image has none), and the id of the table of groups."""
    table = read_table(path, GROUPS)
    check_same("index", (path, table.stamp.inputs["index"]), (index, stamp.id))
    names = sorted(table.frame["name"].unique())
    if group not in names:
        raise RelianceError(
            "audit.group",
            f"it names ids of images that {path} has",
            found=group,
            allowed=", ".join(names) or "the data set has no ids: audit.group null",
            next_step="correct the name, or give the data set a table of ids (key `groups`)",
        )
    own = table.frame[table.frame["name"] == group].rename(columns={"value": "group"})
    merged = rows.merge(own[["split", "image_id", "group"]], how="left", on=["split", "image_id"])
    return merged.fillna({"group": ""}), table.stamp.id


def _check_sides(index: Path, rows: pd.DataFrame, fit: np.ndarray, tested: np.ndarray, test_on: str) -> None:
    counts = {
        (kind, what): int((side & (rows["positive"] == (kind == "positive"))).sum())
        for what, side in (("learn from", fit), ("test on", tested))
        for kind in ("positive", "negative")
    }
    if not all(counts.values()):
        steps = [_step(rows, *side, test_on) for side, n in counts.items() if not n]
        raise RelianceError(
            index,
            "the audit has images of both classes to learn from and to test on",
            found=", ".join(f"{n} {kind} to {what}" for (kind, what), n in counts.items()),
            allowed="at least one of each",
            next_step="; ".join(dict.fromkeys(steps)),
        )


def _step(rows: pd.DataFrame, kind: str, what: str, test_on: str) -> str:
    """What to do about a side that has no images."""
    own = rows[rows["positive"] == (kind == "positive")]
    split = "test" if (what, test_on) == ("test on", "test") else "train"
    if not own["split"].eq(split).any():
        rest = ", or take audit.test_on: rest" if split == "test" else ""
        return f"split {split} has no {kind} image: add some, or choose other classes{rest}"
    units = own.loc[own["pool"], "unit"].nunique()
    if units == 0:
        return (
            f"every {kind} image of split train is of a group that split test has images of, too: divide the "
            "data set by these groups, or take audit.test_on: rest"
        )
    if units == 1 and test_on == "rest":
        return (
            f"the {kind} images of split train are one image or one group, which cannot be on both sides: "
            "add images, or take audit.test_on: test"
        )
    verb, effect = ("raise", "has room for none of") if what == "learn from" else ("lower", "takes all of")
    number = str(own["pool"].sum())
    if own["group"].ne("").any():
        number += "; those of one group are taken together"
    key = "positive_share" if kind == "positive" else "negatives"
    step = f"{verb} audit.{key}, which {effect} the {kind} images of split train ({number})"
    if kind == "negative" and own["unit"].isin(rows.loc[rows["positive"], "unit"]).any():
        step += f", or {verb} audit.positive_share: positives bring the negatives of their groups along"
    return step


def _names(classes: pd.DataFrame, positive: set[int], negative: set[int] | None) -> list[str]:
    """What the two sides are called."""
    short = dict(zip(classes["class_id"].tolist(), classes["short_name"], strict=True))
    first = ", ".join(short[i] for i in sorted(positive))
    if negative is None:
        return [first, f"not {first}"]
    return [first, ", ".join(short[i] for i in sorted(negative))]
