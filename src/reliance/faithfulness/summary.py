"""Faithfulness tables in numbers: means over steps, and curves with their errors (Figs. 3, 7, 8)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

CURVE = ["protocol", "method", "error_term", "restrict_to_active"]


def mean_y(frame: pd.DataFrame) -> pd.DataFrame:
    """The mean output over steps 0 to S of every curve, which the legend of Fig. 3 calls AUC.

    Columns: protocol, method, error_term, restrict_to_active, mean_y (over all images), sem = std(ddof=1)
    over subsets / sqrt(subsets), nan for one subset. Deletion is faithful where it is low, insertion
    where it is high.
    """
    steps = _pooled(frame, [*CURVE, "step", "subset"])
    subsets = steps.groupby([*CURVE, "subset"], sort=False)[["n", "y"]].mean().reset_index()
    means = _pooled(subsets, CURVE).rename(columns={"y": "mean_y"}).drop(columns="n")
    means["sem"] = subsets.groupby(CURVE, sort=False)["y"].sem().to_numpy()
    return means


def curve(frame: pd.DataFrame) -> pd.DataFrame:
    """Every curve by step: the mean over images, and its standard error in both ways.

    Columns: protocol, method, error_term, restrict_to_active, step, n, y, sem_subsets =
    std(ddof=1) over subsets / sqrt(subsets) (Fig. 3), sem_samples = std(ddof=1) over images / sqrt(n)
    (Figs. 7 and 8). A standard error of one subset or one image is nan.
    """
    key = [*CURVE, "step"]
    steps = _pooled(frame, key)
    subsets = _pooled(frame, [*key, "subset"])
    steps["sem_subsets"] = subsets.groupby(key, sort=False)["y"].sem().to_numpy()
    place, n = frame.groupby(key, sort=False).ngroup().to_numpy(), frame["n"].to_numpy()
    inside = (n - 1) * np.square(np.nan_to_num(frame["y_std"].to_numpy()))
    between = n * np.square(frame["y"].to_numpy() - steps["y"].to_numpy()[place])
    squares = np.bincount(place, inside + between, minlength=len(steps))
    total = steps["n"].to_numpy()
    spare = np.where(total > 1, total - 1, np.nan)
    return steps.assign(sem_samples=np.sqrt(squares / spare / total))


def by_class(frame: pd.DataFrame) -> pd.DataFrame:
    """Every curve by step and class: columns of CURVE, step, class_id, n, y (mean over its images)."""
    return _pooled(frame, [*CURVE, "step", "class_id"])


def _pooled(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Number of images and mean y over them, by key in the order of the rows."""
    summed = frame[list(key)].assign(n=frame["n"], y=frame["n"] * frame["y"])
    pooled = summed.groupby(list(key), sort=False)[["n", "y"]].sum().reset_index()
    return pooled.assign(y=pooled["y"] / pooled["n"])
