"""The hit rate of a flag: of images with a unit as active as the flagged ones, how many score like the class.

A flag says that a unit matters more than it should on some images that score like a class. If many more
images of other classes have it as active and do not score like the class, it does not make the others do so,
or not alone.

    hit rate = |{i : a_i >= q, y_i above the line}| / |{i : a_i >= q}|,   i of other classes,

with q the lower quartile of its activation a on the flagged images: what association rules call confidence.
The activation of a family is the sum of its members'.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csc_array

STRONG = 0.25  # quantile of a unit's activation on the flagged images


class Looked(NamedTuple):
    """The images of a view, n."""

    ids: np.ndarray  # image_id, ascending int64 [n]
    class_ids: np.ndarray  # int64 [n]
    activations: csc_array  # float32 [n, m]


def hit_rates(
    flags: pd.DataFrame,
    samples: pd.DataFrame,
    above: Mapping[int, np.ndarray],
    looked: Looked,
    members: Callable[[int], np.ndarray],
) -> np.ndarray:
    """The hit rate of every flag, float64, in order.

    flags : class_id, component. samples : class_id, component, image_id of all flags. above : image_id of the
    images of other classes that score like a class. members : units of a component.
    """
    images = {key: group.to_numpy() for key, group in samples.groupby(["class_id", "component"])["image_id"]}
    found = np.zeros(len(flags))
    for i, (class_id, component) in enumerate(zip(flags["class_id"], flags["component"], strict=True)):
        on = np.asarray(looked.activations[:, members(component)].sum(axis=1)).ravel()
        flagged = on[np.searchsorted(looked.ids, images[class_id, component])]
        least = np.quantile(flagged, STRONG, method="lower")  # one of them: comparisons are exact
        strong = (on >= least) & (on > 0) & (looked.class_ids != class_id)
        hits = np.isin(looked.ids[strong], above[class_id])
        found[i] = hits.mean() if len(hits) else 0.0
    return found
