"""Faithfulness tables in numbers: means over steps, and curves with their errors (Figs. 3, 7, 8)."""

import numpy as np
import pandas as pd

CURVE = ["protocol", "method", "error_term", "restrict_to_active"]


def mean_y(frame: pd.DataFrame) -> pd.DataFrame:
    """The mean output over steps 0 to S of every curve, which the legend of Fig. 3 calls AUC.

    Columns: protocol, method, error_term, restrict_to_active, mean_y (over all images), sem = std(ddof=1)
    over subsets / sqrt(subsets), nan for one subset. Deletion is faithful where it is low, insertion
    where it is high.
    """
    rows = []
    for key, part in frame.groupby(CURVE, sort=False):
        y, n = _wide(part, "y").mean(axis=1).to_numpy(), _wide(part, "n")[0].to_numpy()
        rows.append((*key, np.average(y, weights=n), _error(y)))
    return pd.DataFrame(rows, columns=[*CURVE, "mean_y", "sem"])


def curve(frame: pd.DataFrame) -> pd.DataFrame:
    """Every curve by step: the mean over images, and its standard error in both ways.

    Columns: protocol, method, error_term, restrict_to_active, step, n, y, sem_subsets =
    std(ddof=1) over subsets / sqrt(subsets) (Fig. 3), sem_samples = std(ddof=1) over images / sqrt(n)
    (Figs. 7 and 8). A standard error of one subset or one image is nan.
    """
    rows = []
    for key, part in frame.groupby([*CURVE, "step"], sort=False):
        y, n = part["y"].to_numpy(), part["n"].to_numpy()
        total, mean = int(n.sum()), np.average(y, weights=n)
        inside = (n - 1) * np.square(np.nan_to_num(part["y_std"].to_numpy()))
        squares = (inside + n * np.square(y - mean)).sum()
        samples = np.sqrt(squares / (total - 1) / total) if total > 1 else np.nan
        rows.append((*key, total, mean, _error(y), samples))
    return pd.DataFrame(rows, columns=[*CURVE, "step", "n", "y", "sem_subsets", "sem_samples"])


def by_subset(frame: pd.DataFrame, step: int | None = None) -> pd.DataFrame:
    """y of every curve and subset, at one step or as the mean over steps.

    One row per subset, one column per (protocol, method, error_term, restrict_to_active).
    """
    kept = frame if step is None else frame[frame["step"] == step]
    return kept.groupby([*CURVE, "subset"])["y"].mean().unstack(CURVE)


def _wide(part: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row per subset, one column per step."""
    return part.pivot(index="subset", columns="step", values=column)


def _error(values: np.ndarray) -> float:
    if len(values) < 2:
        return np.nan
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
