"""Stage `hidden_concepts`: components that matter and that fit no name well (Eq. 7; Figs. 10 and 11).

    by relevance    R_j(c) / y(c) >= min_relevance for a class c, and s_j <= max_alignment
    by activation   mean of the 20 strongest activations > min_activation, and s_j <= max_alignment

R_j(c) mean exact effect of component j over the images of class c, those without it counted as 0; y(c)
their mean output; s_j alignment of the component with its label (Eq. 2). The second form does not
depend on any class or prompt. Where `max_alignment` is not set, it is half of what a class has with its
own name (the median over classes): a component below is nearer to no name at all than to a usual name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, Table, check_same, read_table, write_table
from reliance.concepts.concepts import named
from reliance.concepts.effects import exact_effects
from reliance.concepts.schema import ALIGNMENTS, HIDDEN
from reliance.failures.schema import EXPECTATIONS
from reliance.naming.fit import least_fit
from reliance.naming.table import COMPONENTS

USED = ["class_id", "component", "n", "mean", "y_mean"]  # of the expectations
BANDS = ("clear", "middle", "diffuse")  # of clarity, as the figures order them
HIGH_ACTIVATION = 0.9  # quantile over components, if no threshold is set


class Thresholds(NamedTuple):
    """What counts as relevant, poorly aligned and strong."""

    min_relevance: float  # share of a class's mean output
    max_alignment: float
    min_activation: float

    @classmethod
    def of(cls, stamp: Stamp) -> "Thresholds":
        """Those that a table of hidden concepts was made with."""
        return cls(*(float(stamp.params[name]) for name in cls._fields))


def hidden_concepts(
    *,
    components: Path,
    expectations: Path,
    attributions: Path,
    alignments: Path,
    hidden: Path,
    asked: Path | None = None,
    min_relevance: float = 0.03,
    max_alignment: float | None = None,
    min_activation: float | None = None,
    bands: Sequence[float] = (0.4, 0.6),
) -> None:
    """Write for every named component whether it is a hidden concept, and where, as HIDDEN.

    expectations, components : of the same codes. alignments : of classes with their own names.
    attributions : those that the expectations were made from, for exact effects (`effects`).
    asked : a second table of the same components, held against other names; its alignments, and its
    labels as `nearest`, are used instead.
    max_alignment : None for half the median of `alignments`. min_activation : None for the 0.9
    quantile over named components. bands : clarity from which a component is middle, and clear.
    The stamp's params hold the thresholds used; "derived" lists those that were not set, "total_share"
    is what all components' shares sum to in the median class.
    Raises RelianceError if the tables do not belong together.
    """
    table, expected = read_table(components, COMPONENTS), read_table(expectations, EXPECTATIONS, columns=USED)
    baseline = read_table(alignments, ALIGNMENTS)
    codes = (components, table.stamp.inputs.get("codes", "none"))
    check_same("codes", (expectations, expected.stamp.inputs["codes"]), codes)
    vocabulary = (components, table.stamp.inputs["vocabulary"])
    check_same("vocabulary", (alignments, baseline.stamp.inputs["vocabulary"]), vocabulary)
    tables = {"components": table, "expectations": expected, "alignments": baseline}
    frame = table.frame.assign(nearest=table.frame["label"])
    if asked is not None:
        tables["asked"] = read_table(asked, COMPONENTS)
        frame = _held_against((components, table), (asked, tables["asked"]))
    used = thresholds(named(frame), baseline.frame["alignment"], min_relevance, max_alignment, min_activation)
    effects = exact_effects((expectations, expected), attributions)
    found = judge(named(frame), top_classes(effects.frame, min_relevance), used, bands)
    given = {"max_alignment": max_alignment, "min_activation": min_activation}
    derived = [name for name, value in given.items() if value is None]
    params = {**used._asdict(), "bands": list(bands), "derived": derived, "total_share": effects.total}
    ids = {name: item.stamp.id for name, item in tables.items()}
    write_table(hidden, found, HIDDEN, params, {**ids, "attributions": effects.id})


def thresholds(
    frame: pd.DataFrame,
    baseline: pd.Series,
    min_relevance: float = 0.03,
    max_alignment: float | None = None,
    min_activation: float | None = None,
) -> Thresholds:
    """The thresholds, from the baseline and from `frame` where one is None; 0 if those are empty."""
    if max_alignment is None:
        max_alignment = least_fit(baseline.to_numpy())
    if min_activation is None:
        min_activation = float(frame["top20_mean"].quantile(HIGH_ACTIVATION)) if len(frame) else 0.0
    return Thresholds(min_relevance, max_alignment, min_activation)


def top_classes(expectations: pd.DataFrame, min_relevance: float) -> pd.DataFrame:
    """For every component with a positive share of some class's output, the class with the largest.

    expectations : columns of EXPECTATIONS. Classes whose mean output is not positive have no shares.
    Index: component. Columns: class_id, relevance, share, n_classes (shares >= min_relevance).
    Of equal shares the class with the lowest number wins.
    """
    whole = expectations[expectations["component"] < 0].set_index("class_id")["y_mean"]
    pairs = expectations.loc[expectations["component"] >= 0, ["class_id", "component", "mean"]]
    output = pairs["class_id"].map(whole[whole > 0])
    pairs = pairs.assign(share=pairs["mean"] / output).query("share > 0")
    many = (pairs["share"] >= min_relevance).groupby(pairs["component"]).sum()
    pairs = pairs.sort_values(["share", "class_id"], ascending=[False, True], kind="stable")
    best = pairs.drop_duplicates("component").set_index("component").rename(columns={"mean": "relevance"})
    return best.assign(n_classes=many)


def judge(
    frame: pd.DataFrame, classes: pd.DataFrame, used: Thresholds, bands: Sequence[float]
) -> pd.DataFrame:
    """The columns of HIDDEN for named components with `nearest`; classes as from `top_classes`.

    A component without a class has class -1, and relevance and share 0: it is silent on all of them
    or speaks against them.
    """
    best = classes.reindex(frame["component"]).reset_index(drop=True)
    found = frame.rename(columns={"top20_mean": "activation"}).reset_index(drop=True)
    best = best.assign(class_id=best["class_id"].fillna(-1)).fillna(0)
    found = pd.concat([found, best.astype({"class_id": int, "n_classes": int})], axis=1)
    astray = found["alignment"] <= used.max_alignment
    return found.assign(
        band=band_of(found["clarity"], bands),
        by_relevance=astray & (found["share"] >= used.min_relevance),
        by_activation=astray & (found["activation"] > used.min_activation),
    )[[name for name, _ in HIDDEN.columns]]


def band_of(clarity: pd.Series, bands: Sequence[float]) -> np.ndarray:
    """The band of every clarity, as BANDS; "" for nan."""
    low, high = bands
    conditions = [clarity >= high, clarity >= low, clarity < low]
    return np.select(conditions, BANDS, default="")


def select(frame: pd.DataFrame, by: str, per_band: int, used: Thresholds) -> pd.DataFrame:
    """Up to `per_band` components of every band to be shown, in the order of BANDS.

    frame : columns of HIDDEN. by : "activation" | "relevance". First come the flagged ones, by
    rising alignment (or, by relevance, falling share), then those that are strong (or relevant)
    but better aligned, by rising alignment. Adds the column `flagged`.
    Raises ValueError for another `by`.
    """
    if by not in ("activation", "relevance"):
        raise ValueError(f"components are selected by activation or relevance, not by {by!r}")
    frame = frame.assign(flagged=frame[f"by_{by}"])
    strong = (
        frame["activation"] > used.min_activation
        if by == "activation"
        else frame["share"] >= used.min_relevance
    )
    first = frame[frame["flagged"]]
    key, rising = ("share", False) if by == "relevance" else ("alignment", True)
    first = first.sort_values([key, "component"], ascending=[rising, True])
    rest = frame[strong & ~frame["flagged"]].sort_values(["alignment", "component"])
    ranked = pd.concat([first, rest])
    parts = [ranked[ranked["band"] == band].head(per_band) for band in BANDS]
    return pd.concat(parts, ignore_index=True)


def _held_against(first: tuple[Path, Table], asked: tuple[Path, Table]) -> pd.DataFrame:
    """The first table with alignments of the second, of the same components; its labels are `nearest`."""
    (path, table), (asked_path, other) = first, asked
    for name in ("codes", "labels"):
        ids = [found.stamp.inputs.get(name, "none") for found in (other, table)]
        check_same(name, (asked_path, ids[0]), (path, ids[1]))
    columns = {"nearest": other.frame["label"], "alignment": other.frame["alignment"]}
    frame = table.frame.assign(**{name: column.to_numpy() for name, column in columns.items()})
    return frame[frame["nearest"] != ""]
