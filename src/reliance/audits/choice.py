"""Which component an audit is about: one that matters for a class, and that the intervention changes."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.directions import Direction, Thresholds, cosine, direction, thresholds
from reliance.audits.inputs import Learned, activations_of
from reliance.base.artifacts import check_same
from reliance.base.errors import RelianceError
from reliance.encoders.stored import Embeddings
from reliance.robustness.inputs import unit_blocks


class Candidate(NamedTuple):
    """A component that may be audited."""

    component: int
    rank: int
    relevance: float  # mean, towards the class
    share: float
    thresholds: Thresholds
    direction: Direction
    activation: np.ndarray  # on the images of the class, [n]
    shift: float  # cosine of its direction and of the intervention's mean shift

    @property
    def weight(self) -> float:
        """How much of what speaks for the class the intervention moves; 0 if it moves it the other way.

        Mean relevance times cosine squared, the share of the mean shift's squared length that lies along
        the direction. The cosine alone could not choose between components that see the same content.
        """
        return self.relevance * max(self.shift, 0.0) ** 2


def candidate(
    row: Mapping[Hashable, Any],
    learned: Learned,
    unit: np.ndarray,
    shift: np.ndarray,
    *,
    positive: bool,
    low: float | None,
    high: float | None,
    block_rows: int,
) -> Candidate:
    """A component with its direction, from the samples of the class that its relevance is towards.

    row : of RELEVANCES. unit : [n, p] unit embeddings of all images in `learned`.
    """
    side = learned.positive == positive
    activation = activations_of(learned, int(row["component"]), block_rows)[side]
    used = thresholds(activation, low, high)
    u = direction(unit[side], activation, used)
    number, rank = int(row["component"]), int(row["rank"])
    relevance, share, moved = float(row["relevance"]), float(row["share"]), cosine(u.vector, shift)
    return Candidate(number, rank, relevance, share, used, u, activation, moved)


def shift_under(learned: Learned, tested: Path, increased: Path, block_rows: int) -> np.ndarray:
    """Mean shift [p] of unit embeddings under the intervention."""
    means = []
    for path in (tested, increased):
        embeddings, learned_from = Embeddings(path), learned.embedded.embeddings
        for name in ("index", "weights"):
            check_same(name, (path, embeddings.stamp.inputs[name]), (learned_from.path, learned.ids[name]))
        units = [unit for _, unit in unit_blocks(embeddings, embeddings.read("valid"), block_rows)]
        means.append(np.concatenate(units).mean(axis=0, dtype=np.float64))
    return np.asarray(means[1] - means[0])


def rows_to_consider(rows: pd.DataFrame, component: int | None, candidates: int, m: int) -> pd.DataFrame:
    """The rows of the components to choose from, of relevances towards one class, by rank."""
    if component is None:
        return rows.head(candidates)
    rows = rows[rows["component"] == component]
    if len(rows):
        return rows
    raise RelianceError(
        "audit.component",
        "the component to audit fires on the images that the probe learns from",
        found=component,
        allowed=f"a component from 0 to {m - 1} that fires on one of them, or null",
        next_step="take one from components.parquet, or null to have one chosen",
    )


def no_direction(first: Candidate, others: list[int]) -> RelianceError:
    """The error for a component without weak or without strong samples; `others` may have both."""
    u, used = first.direction, first.thresholds
    return RelianceError(
        "audit.low, audit.high",
        "a direction leads from samples in which the component is weak to samples in which it is strong",
        found=f"component {first.component}: {u.n_low} samples below {used.low:.3g}, {u.n_high} above "
        f"{used.high:.3g}",
        allowed="at least one of each",
        next_step="set audit.low and audit.high, or audit another component (the most relevant: "
        f"{', '.join(map(str, others))})",
    )
