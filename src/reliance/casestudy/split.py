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

from reliance.casestudy.schema import AUDIT_SPLIT
from reliance.errors import RelianceError
from reliance.identity import Stamp, check_same, read_table, write_table
from reliance.images.groups import GROUPS
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
) -> Stamp:
    """Stage: draw the images that a probe learns from.

    Parameters
    ----------
    index, classes : of the data set. groups : its patients or lesions, needed if `group` is set.
    audit_split : output, AUDIT_SPLIT.
    positive, negative : classes by id, short name or folder; `negative` None: all others.
    positive_share : of the positives of split "train" to learn from. negatives : how many of the others.
    test_on : "test" (that split of the data set) | "rest" (what is left of "train").
    group : name of the ids that must not be on both sides.

    Raises RelianceError if a class is unknown or has no images on one of the two sides.
    """
    table, named = read_table(index, INDEX), read_table(classes, CLASSES)
    ids = {"index": table.stamp.id, "classes": named.stamp.id}
    wanted = class_ids(classes, named.frame, positive, "positive")
    others = None if negative is None else class_ids(classes, named.frame, negative, "negative")
    rows = chosen_rows(table.frame, wanted, others)
    if group is not None:
        if groups is None:
            raise ValueError("group needs the table of groups")
        rows, ids["groups"] = _with_groups(rows, index, table.stamp, groups, group)
    rows = rows.assign(group=rows.get("group", ""))
    drawn = _draw_rows(rows, positive_share, negatives, seed, test_on)
    tested = rows["split"].eq("test" if test_on == "test" else "train").to_numpy() & drawn.held_out
    _check_sides(index, rows["positive"].to_numpy(), drawn.fit, tested)
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


def class_ids(path: Path, classes: pd.DataFrame, given: Sequence[str | int], key: str) -> set[int]:
    """Ids of classes given by id, short name or folder. Raises RelianceError for an unknown one."""
    found: set[int] = set()
    for name in given:
        hit = (classes["class_id"].astype(str) == str(name)) | (classes["short_name"] == name)
        hit |= classes["folder"] == name
        if not hit.any():
            raise RelianceError(
                f"audit.{key}",
                f"it names classes that {path} has",
                found=name,
                allowed="ids, short names or folders, such as "
                + ", ".join(map(str, classes["short_name"].head(8))),
                next_step="correct the name; the table of classes lists all",
            )
        found |= set(classes.loc[hit, "class_id"].tolist())
    return found


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


def _draw_rows(rows: pd.DataFrame, positive_share: float, negatives: int, seed: int, test_on: str) -> Drawn:
    """`draw` inside "train"; a group that has images in "test" is left out of it if "test" is tested on."""
    pool, test = (rows["split"] == "train").to_numpy(), (rows["split"] == "test").to_numpy()
    if test_on == "rest":
        test = np.zeros_like(test)
    named = (rows["group"] != "").to_numpy()
    pool = pool & ~(named & rows["group"].isin(rows.loc[test & named, "group"]).to_numpy())
    own = "image " + rows["image_id"].astype(str)  # an image without a group is one of its own
    keys = ("group " + rows["group"]).where(named, own).to_numpy(str)[pool]
    drawn = draw(
        rows["positive"].to_numpy()[pool],
        keys,
        positive_share=positive_share,
        negatives=negatives,
        seed=seed,
    )
    fit, held_out = np.zeros(len(rows), bool), test.copy()
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


def _check_sides(index: Path, positive: np.ndarray, fit: np.ndarray, tested: np.ndarray) -> None:
    counts = {
        f"{'positive' if p else 'negative'} to {what}": int((side & (positive == p)).sum())
        for what, side in (("learn from", fit), ("test on", tested))
        for p in (True, False)
    }
    if not all(counts.values()):
        raise RelianceError(
            index,
            "the audit has images of both classes to learn from and to test on",
            found=", ".join(f"{n} {what}" for what, n in counts.items()),
            allowed="at least one of each",
            next_step="change audit.positive_share or audit.negatives, take audit.test_on: test, or choose "
            "classes that have images in both splits",
        )


def _names(classes: pd.DataFrame, positive: set[int], negative: set[int] | None) -> list[str]:
    """What the two sides are called."""
    short = dict(zip(classes["class_id"].tolist(), classes["short_name"], strict=True))
    first = ", ".join(short[i] for i in sorted(positive))
    if negative is None:
        return [first, f"not {first}"]
    return [first, ", ".join(short[i] for i in sorted(negative))]
