"""What tables of components say when they are counted and compared (Figs. 4 and 9).

All functions take frames with the columns of COMPONENTS. Only components with a name are looked at.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special


class Correlation(NamedTuple):
    """Correlation of two columns over components; nan where there are too few or one is constant."""

    r: float  # Pearson
    low: float  # 95 % interval of r by Fisher's transformation: tanh(artanh r -+ 1.96 / sqrt(n - 3))
    high: float
    spearman: float
    n: int  # components


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The components that fire often enough to have a name."""
    return frame[frame["label"] != ""]


def unique_concepts(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How many different labels the components of each table have (Fig. 4 b).

    frames : name -> table. Columns: name, n_components (named ones), n_unique (different labels), and
    rarefied : labels expected when as many components are drawn at random, without replacement, as
    the table with the fewest named ones has. More components find more labels; this takes it out.
    """
    counts = {name: named(frame)["label"].value_counts().to_numpy() for name, frame in frames.items()}
    fewest = min((int(count.sum()) for count in counts.values()), default=0)
    rows = [
        (name, int(count.sum()), len(count), expected_labels(count, fewest)) for name, count in counts.items()
    ]
    return pd.DataFrame(rows, columns=["name", "n_components", "n_unique", "rarefied"])


def expected_labels(counts: np.ndarray, drawn: int) -> float:
    """Labels expected among `drawn` components, without replacement, of counts [l] components per label.

    A label with c of N components is missed with probability C(N - c, drawn) / C(N, drawn).
    Raises ValueError if more are drawn than there are.
    """
    total = int(counts.sum())
    if not 0 <= drawn <= total:
        raise ValueError(f"{drawn} of {total} components cannot be drawn")
    others = total - counts[total - counts >= drawn]  # the other labels are never missed
    log_missed = _log_choose(others, drawn) - _log_choose(np.array(total), drawn)
    return float(len(counts) - np.exp(log_missed).sum())


def shared_concepts(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Which labels tables have in common.

    Columns: name, n_unique (different labels), n_only (labels no other table has), and, the same in
    every row, n_all (labels that all tables have) and n_union (labels that any has).
    """
    labels = {name: set(named(frame)["label"]) for name, frame in frames.items()}
    tables = pd.Series([label for found in labels.values() for label in found], dtype=object).value_counts()
    once, everywhere = set(tables.index[tables == 1]), int((tables == len(labels)).sum())
    rows = [(name, len(found), len(found & once), everywhere, len(tables)) for name, found in labels.items()]
    return pd.DataFrame(rows, columns=["name", "n_unique", "n_only", "n_all", "n_union"])


def with_clarity(frame: pd.DataFrame, x: str, log: bool = False) -> pd.DataFrame:
    """The named components with a clarity and a value of column `x` that is not 0 (above 0, if `log`)."""
    kept = named(frame)
    return kept[kept["clarity"].notna() & kept[x].notna() & ((kept[x] > 0) if log else (kept[x] != 0))]


def correlation(frame: pd.DataFrame, x: str, log: bool = False) -> Correlation:
    """Correlation of clarity with column `x`, or its logarithm, over the components of `with_clarity`."""
    kept = with_clarity(frame, x, log)
    values, clarity = kept[x].to_numpy(np.float64), kept["clarity"].to_numpy(np.float64)
    if log:
        values = np.log10(values)
    n = len(kept)
    if n < 2 or np.ptp(values) == 0 or np.ptp(clarity) == 0:
        return Correlation(np.nan, np.nan, np.nan, np.nan, n)
    r = float(np.corrcoef(values, clarity)[0, 1])
    ranks = np.stack([pd.Series(column).rank() for column in (values, clarity)])  # of equal ones the mean
    spearman = float(np.corrcoef(ranks)[1, 0])
    if n < 4:
        return Correlation(r, np.nan, np.nan, spearman, n)
    with np.errstate(divide="ignore"):
        reach = float(special.ndtri(0.975)) / np.sqrt(n - 3)
        low, high = np.tanh(np.arctanh(r) + np.array([-reach, reach]))
    return Correlation(r, float(low), float(high), spearman, n)


def low_share(x: np.ndarray, y: np.ndarray) -> float:
    """Share of points [n] below the middle of both ranges; nan without points."""
    return float(((x < middle(x)) & (y < middle(y))).mean()) if len(x) else np.nan


def middle(values: np.ndarray) -> float:
    """The middle of a range."""
    return float(values.min() + values.max()) / 2


def median_clarity(frame: pd.DataFrame) -> float:
    """Median clarity of the named components; nan without one."""
    clarity = named(frame)["clarity"].dropna()
    return float(clarity.median()) if len(clarity) else np.nan


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    result: np.ndarray = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return result
