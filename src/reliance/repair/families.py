"""Stage `group_units`: units that stand for one thing, as families of several levels."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, Table, check_same, read_table, write_table
from reliance.codes.store import open_codes
from reliance.codes.top_samples import TOP_SAMPLES, Top
from reliance.encoders.stored import Embeddings
from reliance.matching.matches import read_rows
from reliance.naming.names import pool_top
from reliance.repair.likeness import Seen, likeness
from reliance.repair.linkage import families as linked
from reliance.repair.schema import FAMILIES
from reliance.units.sae.files import load_sae

log = logging.getLogger(__name__)
CUTS = (0.7, 0.55, 0.4)


def group_units(
    *,
    codes: Path,
    sae: Path,
    top_samples: Path,
    labels: Path,
    families: Path,
    cuts: Sequence[float] = CUTS,
    shortlist: int = 16,
    largest: int = 50,
    images: int = 200_000,
    top_n: int = 20,
    block_rows: int = 4096,
) -> Stamp:
    """Write FAMILIES: average linkage of likenesses, cut at each of `cuts` (a level each).

    codes, top_samples : of units on the training images. labels : the labeller's view of these.
    shortlist : partners of a unit that are looked at. largest : units of a family. images : how many
    activations are correlated on, evenly spaced. Memory grows with units x shortlist, not their square.
    Raises RelianceError if artifacts do not belong together.
    """
    split, seen = open_codes(codes), Embeddings(labels)
    arrays, sae_stamp = load_sae(sae)
    strongest, top_stamp = read_table(top_samples, TOP_SAMPLES)
    check_same("SAE", (codes, split.stamp.inputs["sae"]), (sae, sae_stamp.id))
    check_same("codes", (top_samples, top_stamp.inputs["codes"]), (codes, split.stamp.id))
    check_same("image index", (labels, seen.stamp.inputs["index"]), (codes, split.stamp.inputs["index"]))
    chosen = strongest[strongest["rank"] < top_n]
    pooled = pool_top(
        Top(*(chosen[name].to_numpy() for name in Top._fields)), split.m, seen.z, split.rows, block_rows
    )
    rows = np.unique(np.linspace(0, split.rows - 1, min(images, split.rows)).astype(np.int64))
    compared = Seen(arrays.decoder_weight, read_rows(split, rows), pooled.mean.astype(np.float32))
    levels = linked(likeness(compared, shortlist), cuts, largest)
    for cut, level in zip(cuts, levels, strict=True):
        own = level[level >= 0]
        log.info(
            "likeness %g: %d families of %d units, new at this level", cut, len(np.unique(own)), len(own)
        )
    params = {"cuts": list(cuts), "shortlist": shortlist, "largest": largest, "images": len(rows)}
    ids = {"codes": split.stamp.id, "sae": sae_stamp.id, "labels": seen.stamp.id, "top_samples": top_stamp.id}
    return write_table(
        families, family_frame(levels), FAMILIES, {**params, "top_n": top_n, "m": split.m}, ids
    )


def family_frame(levels: np.ndarray) -> pd.DataFrame:
    """FAMILIES of int64 [L, m], by family and unit."""
    level, unit = np.nonzero(levels >= 0)
    frame = pd.DataFrame({"family": levels[level, unit], "level": level, "unit": unit})
    return frame.sort_values(["family", "unit"], ignore_index=True)


def levels_of(table: Table) -> np.ndarray:
    """Families of every unit at each level, int64 [L, m], -1 without one, as `group_units` wrote them."""
    found = np.full((len(table.stamp.params["cuts"]), int(table.stamp.params["m"])), -1, np.int64)
    frame = table.frame
    found[frame["level"], frame["unit"]] = frame["family"]
    return found


def members_of(table: Table, component: int) -> np.ndarray:
    """Units of a component of the mining: itself, or the members of family component - m; int64."""
    m = int(table.stamp.params["m"])
    if component < m:
        return np.array([component], np.int64)
    frame = table.frame
    return np.sort(frame.loc[frame["family"] == component - m, "unit"].to_numpy(np.int64))
