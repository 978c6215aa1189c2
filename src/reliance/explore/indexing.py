"""Stages that make what questions look up, so that no answer has to read a whole split or table.

`view_units` keeps the labeller's view of every unit (xbar_j of Eq. 2, which any text can be held against)
and how strongly it fires how often; `index_expectations` puts the exact effect of leaving a unit out beside
what is expected of each class, gives the classes that every unit serves, and what a z-score needs (R7).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    TableSpec,
    check_kind,
    check_same,
    derived_stamp,
    hash_arrays,
    read_table,
    unreadable,
    write_table,
)
from reliance.base.telling import advance
from reliance.base.tensors import write_tensors
from reliance.codes.store import open_codes
from reliance.codes.top_samples import TOP_SAMPLES, Top
from reliance.concepts.effects import exact_effects
from reliance.encoders.stored import Embeddings
from reliance.failures.reference import typical_variance
from reliance.failures.schema import EXPECTATIONS
from reliance.naming.names import pool_top

VIEWS, VIEWS_SCHEMA = "views", 1
BINS = 20  # of a histogram of activations, from 0 to the unit's strongest
MOST_SERVED = 20  # classes kept per unit
EFFECTS = TableSpec(  # sorted by class and unit
    "effects",
    1,
    (
        ("class_id", "int32"),
        ("component", "int32"),
        ("n", "int64"),  # images of the class
        ("n_active", "int64"),
        ("effect", "float64"),  # mean of y minus y without the unit, zeros included
        ("share", "float64"),  # of the class's mean y; nan where that is not positive
    ),
)
SERVED = TableSpec(
    "served",
    2,
    (
        ("component", "int32"),
        ("rank", "int32"),  # 0: the class to which it adds most on average
        ("class_id", "int32"),
        ("n", "int64"),  # images of the class
        ("n_active", "int64"),
        ("effect", "float64"),
        ("share", "float64"),
    ),
)
REFERENCES = TableSpec(
    "references",
    1,
    (
        ("class_id", "int32"),
        ("n", "int64"),
        ("y_mean", "float64"),
        ("y_std", "float64"),
        ("typical", "float64"),  # s0^2 of R7; nan where no z can be given
    ),
)


class Views(NamedTuple):
    """What is known of m units beside their row in the table of components."""

    mean: (
        np.ndarray
    )  # labeller's mean embedding of the strongest images, float32 [m, p]; zeros if there is none
    n: np.ndarray  # images that went in, int64 [m]
    histogram: np.ndarray  # images per bin of activation, int64 [m, BINS]
    strongest: np.ndarray  # largest activation, the end of the last bin, float32 [m]


def view_units(
    *, codes: Path, labels: Path, top_samples: Path, views: Path, top_n: int = 20, block_rows: int = 16384
) -> None:
    """Write the views of all units of a split; memory grows with m and `block_rows`, not with images.

    codes, labels : of the same split. top_n : strongest images that the labeller's mean is over.
    Raises RelianceError if the inputs do not belong together.
    """
    split, images = open_codes(codes), Embeddings(labels)
    frame, stamp = read_table(top_samples, TOP_SAMPLES)
    check_same("codes", (top_samples, stamp.inputs["codes"]), (codes, split.stamp.id))
    check_same("image index", (labels, images.stamp.inputs["index"]), (codes, split.stamp.inputs["index"]))
    chosen = frame[frame["rank"] < top_n]
    top = Top(*(chosen[name].to_numpy() for name in Top._fields))
    pooled = pool_top(top, split.m, images.z, split.rows, block_rows)
    first = frame[frame["rank"] == 0]
    strongest = np.zeros(split.m, np.float32)
    strongest[first["component"]] = first["activation"]
    histogram = np.zeros(split.m * BINS, np.int64)
    for start, stop in split.blocks(block_rows):
        advance(start, split.rows, "images")
        entries = split.entries(start, stop)
        place = entries.value.astype(np.float32) / strongest[entries.component] * BINS
        bins = np.clip(np.ceil(place) - 1, 0, BINS - 1).astype(np.int64)  # a bin has its upper end
        histogram += np.bincount(entries.component * BINS + bins, minlength=len(histogram))
    found = Views(pooled.mean.astype(np.float32), pooled.n, histogram.reshape(split.m, BINS), strongest)
    inputs = {"codes": split.stamp.id, "labels": images.stamp.id, "weights": images.stamp.inputs["weights"]}
    params = {"top_n": top_n, "content": hash_arrays(found._asdict())}
    made = derived_stamp(VIEWS, VIEWS_SCHEMA, params, inputs)
    write_tensors(views, found._asdict(), {STAMP_KEY: made.to_json()})


def read_views(path: Path) -> tuple[Views, Stamp]:
    """Read what `view_units` wrote. Raises RelianceError if it is missing, damaged or something else."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            stamp = Stamp.from_json((file.metadata() or {})[STAMP_KEY])
            check_kind(path, stamp, VIEWS, VIEWS_SCHEMA)
            found = Views(*(file.get_tensor(name) for name in Views._fields))
            if hash_arrays(found._asdict()) != stamp.params["content"]:
                raise ValueError("its tensors are not those its stamp names")
            return found, stamp
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, VIEWS, error) from error


def index_expectations(
    *, expectations: Path, attributions: Path, effects: Path, served: Path, references: Path
) -> None:
    """Write what every unit does to every class, the classes it serves, and what a z-score of a class needs.

    attributions : those that the expectations are of. effects : output, EFFECTS. served : output, SERVED.
    """
    found = read_table(expectations, EXPECTATIONS)
    frame, stamp = found.frame, found.stamp
    whole, pairs = frame[frame["component"] < 0], frame[frame["component"] >= 0]
    inputs = {**stamp.inputs, "expectations": stamp.id}
    write_table(references, reference_frame(whole, pairs), REFERENCES, stamp.params, inputs)
    exact = effects_frame(exact_effects((expectations, found), attributions).frame)
    write_table(effects, exact, EFFECTS, stamp.params, inputs, row_group=1 << 16)
    write_table(served, served_frame(exact), SERVED, stamp.params, inputs, row_group=1 << 16)


def reference_frame(whole: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per class, from the rows of classes and of pairs of a table of expectations (R7)."""
    class_ids = whole["class_id"].to_numpy()
    row = np.searchsorted(class_ids, pairs["class_id"])
    rate = (pairs["n_active"] / pairs["n"]).to_numpy()
    typical = typical_variance(row, rate, pairs["std"].to_numpy() ** 2, len(class_ids))
    typical = np.where(whole["n"].to_numpy() >= 2, typical, np.nan)
    return whole[["class_id", "n", "y_mean", "y_std"]].assign(typical=typical)


def effects_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """EFFECTS from rows of classes and of pairs, whose `mean` is the mean exact effect."""
    whole, pairs = frame[frame["component"] < 0], frame[frame["component"] >= 0]
    y_mean = whole.set_index("class_id")["y_mean"]
    output = pairs["class_id"].map(y_mean.where(y_mean > 0))
    rows = pairs.assign(effect=pairs["mean"], share=pairs["mean"] / output)
    rows = rows.sort_values(["class_id", "component"], ignore_index=True)
    return rows[[name for name, _ in EFFECTS.columns]]


def served_frame(effects: pd.DataFrame) -> pd.DataFrame:
    """Up to MOST_SERVED classes per unit by mean effect, those with one above 0."""
    kept = effects[effects["effect"] > 0].sort_values(
        ["component", "effect", "class_id"], ascending=[True, False, True], ignore_index=True
    )
    kept = kept.assign(rank=kept.groupby("component").cumcount())
    return kept[kept["rank"] < MOST_SERVED]
