"""Unexpected reliance: components that matter more than they should on images of other classes (Eq. 8).

For a class and its prompt, take the images of other classes that score like the class (y above its
mean minus 1.5 standard deviations, App. D.1). A component is tested if at least 10 of them have it
active, and flagged if at least 10 of those have z = (R - mean) / sigma > 3 and their mean relevance
is above 3 % of the class's mean y. `reference` says where mean and sigma come from.

Many pairs are tested, so each gets a p-value, how likely so many flagged images would be if images of
other classes exceeded the line as often as the class's own do, and a false discovery rate q: see
`discovery`.
"""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.inputs import (
    COMPUTING,
    LATENTS,
    Again,
    Computing,
    Explained,
    Inputs,
    blocks,
    open_inputs,
)
from reliance.base.artifacts import Stamp, Table, check_same, read_table, write_table
from reliance.base.errors import RelianceError, make_again
from reliance.base.finite import all_finite
from reliance.failures.discovery import (
    expected_share,
    false_discovery_rate,
    pooled_rates,
    predictive_tail,
)
from reliance.failures.measured import open_mining_tail
from reliance.failures.reference import Reference, reference
from reliance.failures.scan import Above, Lines, Miner, Tally
from reliance.failures.schema import EXPECTATIONS, OUTLIER_SAMPLES, OUTLIERS
from reliance.tails.protocol import Tail

__all__ = ["OUTLIERS", "OUTLIER_SAMPLES", "mine_outliers"]
log = logging.getLogger(__name__)


class Mining(NamedTuple):
    """When a (class, component) is flagged."""

    min_z: float = 3.0
    min_samples: int = 10
    min_relevance: float = 0.03  # share of the class's mean y
    max_q: float | None = None  # None reports q without filtering by it
    confidence_std: float = 1.5  # standard deviations of y below its mean that still score like the class


MINING = Mining()


def mine_outliers(
    files: Explained,
    *,
    expectations: Path,
    outliers: Path,
    outlier_samples: Path,
    split: str = "train",
    every_nth: int = 5,
    relevance: str = "act_x_grad",
    contrastive: bool = False,
    rule: Mining = MINING,
    units: str = LATENTS,
    computing: Computing = COMPUTING,
    again: Again | None = None,
) -> Stamp:
    """Write the flagged (class, component) pairs and their images.

    The split is read twice in blocks; tables of classes x components stay in memory. Classes that
    cannot be mined are logged and listed in the stamp's params as `skipped`. Returns the stamp of
    `outliers`; raises RelianceError if the artifacts or settings do not match the expectations.
    """
    inputs = open_inputs(files, split, units, again)
    expected = read_table(expectations, EXPECTATIONS)
    shared = {"split": split, "every_nth": every_nth, "relevance": relevance, "dtype": computing.dtype}
    shared |= {"contrastive": True} if contrastive else {}
    _check_expectations(expectations, expected, inputs, shared)
    _check_finite(expectations, expected.frame)
    known = reference(expected.frame, inputs.class_ids, inputs.units.m, computing.dtype)
    skipped = inputs.class_ids[~known.usable].tolist()
    log.info("%d of %d classes have no usable reference: %s", len(skipped), len(known.n), skipped)
    tail = open_mining_tail(inputs, computing, contrastive)
    looked = Looked(every_nth, computing.block_rows, files.embeddings)
    frame, samples = mine(inputs, tail, known, (relevance, contrastive), rule, looked)
    samples = samples.assign(split=split)
    ids = {**inputs.ids, "expectations": expected.stamp.id}
    stamp = write_table(outliers, frame, OUTLIERS, {**shared, **rule._asdict(), "skipped": skipped}, ids)
    write_table(outlier_samples, samples, OUTLIER_SAMPLES, {}, {"outliers": stamp.id})
    log.info("%d pairs flagged, %d images", len(frame), len(samples))
    return stamp


class Looked(NamedTuple):
    """Which images are looked at, and how many at a time."""

    every_nth: int
    block_rows: int
    where: Path  # of what they are read from, for messages


def mine(
    inputs: Inputs,
    tail: Tail,
    known: Reference,
    form: tuple[str, bool],
    rule: Mining,
    looked: Looked,
    above: list[Above] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(flagged pairs with class_id, columns of OUTLIERS; their images, columns of OUTLIER_SAMPLES but split).

    form : the relevance, and whether it is contrastive. The floor of contrastive relevances is a share of the
    class's mean y minus the mean of y over all images and classes. above : all high-confidence images of
    other classes are added to it.
    """
    relevance, contrastive = form
    miner = Miner(
        tail, decision_lines(known, rule.min_z, rule.confidence_std, tail.device), relevance, looked.where
    )
    tally = Tally.zeros(known.mean.shape, tail.device)
    for block in blocks(inputs, looked.every_nth, looked.block_rows):
        confident = miner.count(block, tally)
        if above is not None:
            above.append(confident)
    level = miner.mean_output if contrastive else 0.0
    frame = flag_pairs(tally, known._replace(y_mean=known.y_mean - level), rule)
    kept = np.zeros(known.mean.shape, bool)
    kept[frame["row"], frame["component"]] = True
    wanted = torch.as_tensor(kept, device=tail.device)
    found = [miner.collect(block, wanted) for block in blocks(inputs, looked.every_nth, looked.block_rows)]
    frame["class_id"] = inputs.class_ids[frame["row"]]
    return frame, sample_frame(found, known, inputs.class_ids, "")


def decision_lines(known: Reference, min_z: float, confidence_std: float, device: torch.device) -> Lines:
    """The y of high confidence and the relevance of z = min_z; out of reach for unusable classes."""
    confident = np.where(known.usable, known.y_mean - confidence_std * known.y_std, np.inf)
    unexpected = np.where(known.usable[:, None], known.mean + min_z * known.sigma, np.inf)
    return Lines(
        torch.as_tensor(confident, device=device),
        torch.as_tensor(unexpected.astype(known.mean.dtype), device=device),
    )


def flag_pairs(tally: Tally, known: Reference, rule: Mining) -> pd.DataFrame:
    """Columns of OUTLIERS, with `row` in place of class_id, for the flagged pairs; by class, component.

    The q-values are over all pairs that are ever active, on the class or on a high-confidence image of
    another one; those that are not tested or have no flagged image have p = 1 and only count.
    """
    highconf, active, flagged, total, _ = (table.cpu().numpy() for table in tally)
    own = own_above(tally, known, rule.min_z)
    seen = known.usable[:, None] & ((active > 0) | (known.n_active > 0))
    rates = pooled_rates(own[seen], np.repeat(known.n, seen.sum(axis=1)))
    tested = np.flatnonzero((active >= rule.min_samples) & (flagged > 0))
    row, component = place = np.divmod(tested, active.shape[1])
    mean, sigma = known.mean[place].astype(np.float64), known.sigma[place].astype(np.float64)
    n, n_flagged, n_active = known.n[row], flagged[place], known.n_active[place]
    p_value = predictive_tail(rates, n_flagged, highconf[row], own[place], n)
    relevance = total[place] / n_flagged
    frame = pd.DataFrame(
        {
            "row": row,
            "component": component,
            "n_flagged": n_flagged,
            "n_highconf": highconf[row],
            "p0": expected_share(rates, own[place], n),
            "p_value": p_value,
            "q_value": false_discovery_rate(p_value, int(seen.sum())),
            "mean_z": (relevance - mean) / sigma,
            "mean_relevance": relevance,
            "unseen_in_reference": n_active == 0,
        }
    )
    keep = (n_flagged >= rule.min_samples) & (relevance > rule.min_relevance * np.abs(known.y_mean[row]))
    if rule.max_q is not None:
        keep &= frame["q_value"].to_numpy() <= rule.max_q
    log.info("%d pairs are ever active, %d of them have a flagged image", seen.sum(), len(frame))
    return frame.iloc[np.flatnonzero(keep)].reset_index(drop=True)


def own_above(tally: Tally, known: Reference, min_z: float) -> np.ndarray:
    """Images of every class with z > min_z, int32 [C, m], also where the line is below 0 and R is 0.

    Class by class: whole tables of intermediate numbers would be most of the memory.
    """
    above: np.ndarray = tally.n_own.cpu().numpy().copy()
    for own, n, mean, sigma, n_active in zip(
        above, known.n, known.mean, known.sigma, known.n_active, strict=True
    ):
        silent = np.flatnonzero(mean + min_z * sigma < 0)
        own[silent] += n - n_active[silent]
    return above


def sample_frame(
    found: list[list[np.ndarray]], known: Reference, class_ids: np.ndarray, split: str
) -> pd.DataFrame:
    """Columns of OUTLIER_SAMPLES from what the miner collected, by class, component, image."""
    row, component, image_id, y, relevance = (np.concatenate(column) for column in zip(*found, strict=True))
    z = (relevance - known.mean[row, component]) / known.sigma[row, component]
    columns: dict[str, Any] = {"class_id": class_ids[row], "component": component, "split": split}
    frame = pd.DataFrame({**columns, "image_id": image_id, "y": y, "relevance": relevance, "z": z})
    return frame.sort_values(["class_id", "component", "image_id"], ignore_index=True)


def _check_expectations(path: Path, expected: Table, inputs: Inputs, settings: dict[str, Any]) -> None:
    for name, found in inputs.ids.items():
        check_same(name, (path, expected.stamp.inputs[name]), ("the inputs of this rule", found))
    if expected.stamp.params != settings:
        raise RelianceError(
            path,
            "expectations and mining use the same images and the same relevance",
            found=f"expectations with {expected.stamp.params}",
            allowed=f"{settings}",
            next_step=f"the config changed between the two: {make_again(path)}",
        )


def _check_finite(path: Path, frame: pd.DataFrame) -> None:
    """Raise RelianceError for what is not finite: a class would be skipped for it, a component never flagged.

    What a row does not have (y of a component, the spread of one image) is not a number there and may be.
    """
    several = frame["n"] > 1
    pairs = frame["component"] >= 0
    rows = {"mean": pairs, "std": pairs & several, "y_mean": ~pairs, "y_std": ~pairs & several}
    all_finite(path, {name: frame[name][chosen].to_numpy() for name, chosen in rows.items()})
