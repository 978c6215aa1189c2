"""Stage `match_units`: units of every dictionary of a comparison, found in every other one.

Two units are the same as far as they fire on the same images as strongly. That needs no common space: seeds,
kinds, sites and models are compared alike. Where encoder and site are the same, rows of the decoders are
compared too.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from reliance.base.artifacts import check_same, write_table
from reliance.codes.store import Codes, open_codes
from reliance.matching.assignment import one_to_one
from reliance.matching.correlation import Activity, activity, nearest_rows, strongest_pairs
from reliance.matching.schema import MATCHES, STABILITY
from reliance.units.sae.files import load_sae

_ROWS = 16384  # images read at a time


class Dictionary(NamedTuple):
    """The units of one variant."""

    variant: str
    activity: Activity
    decoder: np.ndarray  # float32 [m, d], unit rows
    place: tuple[str, str]  # (id of the encoder's weights, site)


class Found(NamedTuple):
    """Units of one dictionary in another one; columns of MATCHES."""

    match: np.ndarray
    correlation: np.ndarray
    nearest: np.ndarray
    nearest_correlation: np.ndarray
    mutual: np.ndarray
    cosine: np.ndarray
    nearest_by_cosine: np.ndarray
    nearest_cosine: np.ndarray


def match_units(
    *,
    codes: Sequence[Path],
    saes: Sequence[Path],
    variants: Sequence[str],
    matches: Path,
    stability: Path,
    images: int = 200_000,
    shortlist: int = 16,
    found_again: float = 0.7,
) -> None:
    """Write MATCHES of every pair of variants in both directions, and STABILITY.

    codes, saes : of each variant, on one split of one data set. images : at most so many, evenly spaced.
    shortlist : partners of a unit that the assignment chooses among. found_again : correlation that counts.
    Raises RelianceError if codes are of other SAEs, or of different images.
    """
    opened = [open_codes(path) for path in codes]
    for other in opened[1:]:
        ids = [(c.path, c.stamp.inputs["index"]) for c in (other, opened[0])]
        check_same("index of images", *ids)
    chosen = np.unique(np.linspace(0, opened[0].rows - 1, min(images, opened[0].rows)).astype(np.int64))
    dictionaries = [
        _dictionary(variant, one, sae, chosen)
        for variant, one, sae in zip(variants, opened, saes, strict=True)
    ]
    frames = []
    for first, second in combinations(dictionaries, 2):
        there, back = match(first, second, shortlist)
        frames += [_frame(first, second, there), _frame(second, first, back)]
    frame = pd.concat(frames, ignore_index=True)
    inputs = {f"codes_{i}": one.stamp.id for i, one in enumerate(opened)}
    settings = {"variants": [*variants], "images": images, "shortlist": shortlist}
    write_table(matches, frame, MATCHES, settings, inputs)
    write_table(
        stability,
        stability_of(frame, found_again, {d.variant: d.place[0] for d in dictionaries}),
        STABILITY,
        {**settings, "found_again": found_again},
        inputs,
    )


def match(first: Dictionary, second: Dictionary, shortlist: int) -> tuple[Found, Found]:
    """Units of the first in the second, and the other way round."""
    pairs = strongest_pairs(first.activity, second.activity, shortlist)
    m, other = len(first.decoder), len(second.decoder)
    there = one_to_one(pairs.shortlist, pairs.correlations, other)
    back = np.full(other, -1, np.int64)
    back[there[there >= 0]] = np.flatnonzero(there >= 0)
    place = (pairs.shortlist == there[:, None]).argmax(1)
    r = np.where(there >= 0, pairs.correlations[np.arange(m), place], 0)
    r_back = np.where(back >= 0, r[back], 0)
    nearest = np.where(pairs.correlations[:, 0] > 0, pairs.shortlist[:, 0], -1)
    mutual = (nearest >= 0) & (pairs.back[nearest] == np.arange(m))
    mutual_back = (pairs.back >= 0) & (nearest[pairs.back] == np.arange(other))
    nearest_r = np.maximum(pairs.correlations[:, 0], 0)
    near, near_back = _by_decoder(first, second)
    return (
        Found(there, r, nearest, nearest_r, mutual, _cosines(first, second, there), *near),
        Found(
            back,
            r_back,
            pairs.back,
            pairs.back_correlations,
            mutual_back,
            _cosines(second, first, back),
            *near_back,
        ),
    )


def stability_of(matches: pd.DataFrame, found_again: float, encoders: Mapping[str, str]) -> pd.DataFrame:
    """STABILITY of MATCHES. encoders : variant -> its encoder."""
    counted = matches.assign(again=matches["correlation"] >= found_again)
    grouped = counted.groupby(["variant", "component"], sort=False)
    found: pd.DataFrame = grouped.agg(
        others=("other", "size"), found_again=("again", "mean"), mean_correlation=("correlation", "mean")
    ).reset_index()
    counted["encoder"] = counted["other"].map(encoders)
    abroad = counted[counted["encoder"] != counted["variant"].map(encoders)]
    each = abroad.groupby(["variant", "component", "encoder"], sort=False)["again"].any().reset_index()
    models = each.groupby(["variant", "component"], sort=False)["again"].agg(["size", "mean"])
    models.columns = ["models", "universal"]
    found = found.join(models, on=["variant", "component"])
    found["models"] = found["models"].fillna(0).astype("int32")
    return found


def _dictionary(variant: str, codes: Codes, sae: Path, chosen: np.ndarray) -> Dictionary:
    arrays, stamp = load_sae(sae)
    check_same("SAE", (codes.path, codes.stamp.inputs["sae"]), (sae, stamp.id))
    place = str(stamp.inputs["encoder"]), str(stamp.params.get("site", "class_token"))
    return Dictionary(variant, activity(read_rows(codes, chosen)), arrays.decoder_weight, place)


def read_rows(codes: Codes, chosen: np.ndarray) -> csr_array:
    """Codes of some images, ascending, as a sparse matrix float32 [n, m]."""
    parts = []
    for start, stop in codes.blocks(_ROWS):
        rows = chosen[(chosen >= start) & (chosen < stop)] - start
        if len(rows):
            values, indices = codes.block(start, stop)
            parts.append(sparse_rows(values[rows], indices[rows], codes.m))
    return vstack(parts, format="csr")


def sparse_rows(values: np.ndarray, indices: np.ndarray, m: int) -> csr_array:
    """Codes [n, k] as a sparse matrix float32 [n, m]."""
    active = values != 0
    starts = np.concatenate([[0], active.sum(1).cumsum()])
    entries = values[active].astype(np.float32), indices[active].astype(np.int32), starts
    return csr_array(entries, shape=(len(values), m))


def _by_decoder(
    first: Dictionary, second: Dictionary
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """(nearest row, cosine) both ways; -1 and nan where decoders are of different spaces."""
    if first.place == second.place:
        found = nearest_rows(first.decoder, second.decoder)
        return found[:2], found[2:]
    nothing = [
        (np.full(len(d.decoder), -1), np.full(len(d.decoder), np.nan, np.float32)) for d in (first, second)
    ]
    return nothing[0], nothing[1]


def _cosines(first: Dictionary, second: Dictionary, partner: np.ndarray) -> np.ndarray:
    """Of the decoder's rows of matched units; nan where there are none."""
    found = np.full(len(partner), np.nan, np.float32)
    if first.place == second.place:
        matched = partner >= 0
        found[matched] = (first.decoder[matched] * second.decoder[partner[matched]]).sum(1)
    return found


def _frame(first: Dictionary, second: Dictionary, found: Found) -> pd.DataFrame:
    own = {"variant": first.variant, "component": np.arange(len(found.match)), "other": second.variant}
    return pd.DataFrame({**own, **found._asdict()})
