"""The exact effect of removing a component, as a share of a class's output.

Act x grad is the slope at the image times the activation. That is good for ranking, but no share: over all
components it may sum to less than 0. The left side of Eq. 5, y with the component minus y without it, is
what a share is taken of. Even these need not sum to y: the rest is held by the bias, by what the SAE
leaves over, and by components that do together what neither does alone.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import Table, check_same
from reliance.base.streams import TableReader


class Effects(NamedTuple):
    """Mean exact effects of a variant's components on its classes."""

    frame: pd.DataFrame  # class_id, component, n, y_mean, mean: as expectations, `mean` being the mean effect
    total: float  # sum of all components' shares of the class's mean output, median over classes
    id: str  # of the attributions


def exact_effects(expectations: tuple[Path, Table], attributions: Path) -> Effects:
    """The expectations with the mean of `ablation` over all images of a class, those without it as 0.

    attributions : those that the expectations were made from; raises RelianceError for others. They are
    read by row groups: memory holds classes x components, whatever the number of images.
    """
    path, expected = expectations
    rows = TableReader(attributions, ATTRIBUTIONS)
    check_same("attributions", (path, expected.stamp.inputs["attributions"]), (attributions, rows.stamp.id))
    is_class = expected.frame["component"] < 0
    whole, pairs = expected.frame[is_class], expected.frame[~is_class]
    class_ids = np.sort(whole["class_id"].to_numpy())
    sums = np.zeros((len(class_ids), int(rows.stamp.params["components"])))
    for class_id, component, effect in rows.groups(["class_id", "component", "ablation"]):
        cell = np.searchsorted(class_ids, class_id) * sums.shape[1] + component
        np.add.at(sums.reshape(-1), cell, effect.astype(np.float64))
    own = np.searchsorted(class_ids, pairs["class_id"]), pairs["component"].to_numpy()
    pairs = pairs.assign(mean=sums[own] / pairs["n"].to_numpy())
    return Effects(pd.concat([whole, pairs], ignore_index=True), total_share(whole, pairs), rows.stamp.id)


def total_share(whole: pd.DataFrame, pairs: pd.DataFrame) -> float:
    """Sum over components of mean effect / mean output, the median over classes with a positive output."""
    output = whole.set_index("class_id")["y_mean"]
    sums = pairs.groupby("class_id")["mean"].sum().reindex(output.index, fill_value=0.0)
    return float((sums / output)[output > 0].median())
