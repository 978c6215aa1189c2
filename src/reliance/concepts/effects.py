"""The exact effect of removing a component, as a share of a class's output.

Act x grad is the slope at the image times the activation. That is good for ranking, but no share: over all
components it may sum to less than 0. The left side of Eq. 5, y with the component minus y without it, is
what a share is taken of. Even these need not sum to y: the rest is held by the bias, by what the SAE
leaves over, and by components that do together what neither does alone.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import Table, check_same, read_table
from reliance.base.errors import RelianceError, make_again

SHARED = ("index", "embeddings", "codes", "sae", "head", "text")


class Effects(NamedTuple):
    """Mean exact effects of a variant's components on its classes."""

    frame: pd.DataFrame  # as expectations, `mean` being the mean effect
    total: float  # sum of all components' shares of the class's mean output, median over classes
    id: str  # of the attributions


def exact_effects(expectations: tuple[Path, Table], attributions: Path) -> Effects:
    """The expectations with the mean of `ablation` over all images of a class, those without it as 0.

    attributions : of the view of images that the expectations are of. Raises RelianceError for others.
    """
    path, expected = expectations
    found = read_table(attributions, ATTRIBUTIONS, columns=["class_id", "component", "ablation"])
    for name in SHARED:
        ids = (found.stamp.inputs.get(name, "none"), expected.stamp.inputs.get(name, "none"))
        check_same(name, (attributions, ids[0]), (path, ids[1]))
    views = [{k: t.stamp.params.get(k) for k in ("split", "every_nth")} for t in (found, expected)]
    if views[0] != views[1]:
        raise RelianceError(
            attributions,
            "exact effects and expectations are of the same images",
            found=f"{views[0]}",
            allowed=f"{views[1]}",
            next_step=f"the config changed between the two: {make_again(attributions)}",
        )
    whole = expected.frame[expected.frame["component"] < 0]
    images = whole.set_index("class_id")["n"]
    effect = found.frame["ablation"].astype("float64")
    sums = effect.groupby([found.frame["class_id"], found.frame["component"]]).sum().rename("mean")
    pairs = sums.reset_index()
    pairs["mean"] /= pairs["class_id"].map(images)
    kept = expected.frame.loc[expected.frame["component"] >= 0].drop(columns="mean")
    pairs = kept.merge(pairs, on=["class_id", "component"], how="left").fillna({"mean": 0.0})
    return Effects(pd.concat([whole, pairs], ignore_index=True), total_share(whole, pairs), found.stamp.id)


def total_share(whole: pd.DataFrame, pairs: pd.DataFrame) -> float:
    """Sum over components of mean effect / mean output, the median over classes with a positive output."""
    output = whole.set_index("class_id")["y_mean"]
    sums = pairs.groupby("class_id")["mean"].sum().reindex(output.index, fill_value=0.0)
    return float((sums / output)[output > 0].median())
