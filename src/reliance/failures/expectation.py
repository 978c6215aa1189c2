"""What relevance to expect: mean and spread of every component's relevance over a class (Eq. 8).

A component that is silent on an image has relevance 0 there, and those zeros count: the mean and
the standard deviation are over ALL images of the class, not over those on which it fires.
"""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.base.artifacts import Stamp, check_same, write_table
from reliance.base.streams import TableReader
from reliance.failures.schema import EXPECTATIONS

__all__ = ["EXPECTATIONS", "expectations"]
log = logging.getLogger(__name__)


class Moments(NamedTuple):
    """Running sums over the images of each class; float64, changed in place by `add_images` and `add`."""

    n: np.ndarray  # images [C]
    y: np.ndarray  # sum of y and of y^2 [2, C]
    n_active: np.ndarray  # images on which a component fires [C, m]
    relevance: np.ndarray  # sum of R and of R^2 [2, C, m]

    @classmethod
    def zeros(cls, classes: int, components: int) -> "Moments":
        """Sums of no images."""
        shapes = (classes,), (2, classes), (classes, components), (2, classes, components)
        return cls(*(np.zeros(shape) for shape in shapes))

    def add_images(self, label: np.ndarray, y: np.ndarray) -> None:
        """Add n images: row of the class and output for it, [n] each."""
        y = y.astype(np.float64)
        np.add.at(self.n, label, 1.0)
        for power in (1, 2):
            np.add.at(self.y[power - 1], label, y**power)

    def add(self, label: np.ndarray, component: np.ndarray, r: np.ndarray) -> None:
        """Add relevances R of components that fire on images of classes, [e] each."""
        r = r.astype(np.float64)
        cell = label * self.n_active.shape[1] + component
        np.add.at(self.n_active.reshape(-1), cell, 1.0)
        for power in (1, 2):
            np.add.at(self.relevance[power - 1].reshape(-1), cell, r**power)


def expectations(
    *,
    attributions: Path,
    outputs: Path,
    expectations: Path,
    relevance: str = "act_x_grad",
) -> Stamp:
    """Write the expected relevance of every component for every class (App. D.1).

    Parameters
    ----------
    attributions, outputs : of the images that expectations are from (`attribute_split`).
    expectations : output. Rows: one per (class, component that fires at least once on the class), and one
        per class with component -1 that has mean and standard deviation of y. Standard deviations have
        ddof=1 and are nan for a single image.
    relevance : "act_x_grad" | "ablation".

    Tables are read by row groups: memory holds classes x components, whatever the number of images.
    Returns the stamp; raises RelianceError if the two tables are not of one run.
    """
    relevances, scored = TableReader(attributions, ATTRIBUTIONS), TableReader(outputs, OUTPUTS)
    own = (attributions, relevances.stamp.id)
    check_same("attributions", (outputs, scored.stamp.inputs["attributions"]), own)
    class_ids = np.unique(np.concatenate([c for (c,) in scored.groups(["class_id"])] or [np.zeros(0, int)]))
    params = dict(relevances.stamp.params)
    moments = Moments.zeros(len(class_ids), params.pop("components"))
    for class_id, y in scored.groups(["class_id", "y"]):
        moments.add_images(np.searchsorted(class_ids, class_id), y)
    for class_id, component, r in relevances.groups(["class_id", "component", relevance]):
        moments.add(np.searchsorted(class_ids, class_id), component, r)
    frame = expectation_frame(moments, class_ids)
    log.info("%d rows for %d classes", len(frame), len(class_ids))
    ids = {**relevances.stamp.inputs, "attributions": relevances.stamp.id, "outputs": scored.stamp.id}
    return write_table(expectations, frame, EXPECTATIONS, {**params, "relevance": relevance}, ids)


def expectation_frame(moments: Moments, class_ids: np.ndarray) -> pd.DataFrame:
    """The table that `expectations` writes, from the sums over all images; class_ids [C].

    By class and component, in which order sums are found: rows of whole classes are put before their pairs,
    and nothing is sorted, of which there may be ten million rows.
    """
    cell = np.flatnonzero(moments.n_active)
    label, component = np.divmod(cell, moments.n_active.shape[1])
    seen = np.flatnonzero(moments.n)
    starts = np.searchsorted(label, seen)
    n, absent = moments.n[label], np.full(len(cell), np.nan)
    pairs = {"class_id": class_ids[label], "component": component, "n": n}
    pairs["n_active"] = moments.n_active.reshape(-1)[cell]
    pairs["mean"], pairs["std"] = _mean_std(moments.relevance.reshape(2, -1)[:, cell], n)
    n = moments.n[seen]
    whole: dict[str, Any] = {
        "class_id": class_ids[seen],
        "component": -1,
        "n": n,
        "n_active": n,
        "mean": np.nan,
        "std": np.nan,
    }
    whole["y_mean"], whole["y_std"] = _mean_std(moments.y[:, seen], n)
    columns = {name: np.insert(pairs.pop(name, absent), starts, value) for name, value in whole.items()}
    return pd.DataFrame(columns, copy=False).astype({"n": "int64", "n_active": "int64"})


def _mean_std(sums: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (ddof=1, nan for n = 1) from the sums of values and squares [2, ...]."""
    mean = sums[0] / n
    spread = np.where(n > 1, n - 1, np.nan)
    return mean, np.sqrt((sums[1] - n * mean**2).clip(min=0) / spread)
