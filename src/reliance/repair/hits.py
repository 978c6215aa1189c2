"""The hit rate of a flag: of images with a unit as active as the flagged ones, how many score like the class.

A flag says that a unit matters more than it should on some images that score like a class. If many more
images of other classes have it as active and do not score like the class, it does not suffice: they score so
by something else as well, and a list of such flags is of little use. Removing it may still lower its images.

    hit rate h = |{i : a_i >= q, y_i above the line}| / |{i : a_i >= q}|,   i of other classes,

with q the lower quartile of its activation a on the flagged images, which are counted as well: what
association rules call confidence. The activation of a family is the sum of its members'. With few classes
many images may score like one anyhow: a flag becomes a case by

    (h - b) / (1 - b),   b the share of all images of other classes above the line.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csc_array

STRONG = 0.25  # quantile of a unit's activation on the flagged images; looked at on planted seeds 0 and 1


class Looked(NamedTuple):
    """The images of a view, n."""

    ids: np.ndarray  # image_id, ascending int64 [n]
    class_ids: np.ndarray  # int64 [n]
    activations: csc_array  # float32 [n, m]


class Hits(NamedTuple):
    """What is counted of a flag."""

    as_active: int  # images of other classes on which the unit is as active as on the flagged ones
    hit_rate: float  # h
    usual: float  # b

    @property
    def beyond(self) -> float:
        """(h - b) / (1 - b)."""
        return (self.hit_rate - self.usual) / max(1 - self.usual, 1e-12)


def hit_rates(
    flags: pd.DataFrame,
    samples: pd.DataFrame,
    above: Mapping[int, np.ndarray],
    looked: Looked,
    members: Callable[[int], np.ndarray],
) -> list[Hits]:
    """What is counted of every flag, in order.

    flags : class_id, component. samples : class_id, component, image_id of all flags. above : image_id of the
    images of other classes that score like a class. members : units of a component.
    """
    images = {key: group.to_numpy() for key, group in samples.groupby(["class_id", "component"])["image_id"]}
    found = []
    for class_id, component in zip(flags["class_id"].tolist(), flags["component"].tolist(), strict=True):
        on = np.asarray(looked.activations[:, members(component)].sum(axis=1)).ravel()
        flagged = on[np.searchsorted(looked.ids, images[class_id, component])]
        least = np.quantile(flagged, STRONG, method="lower")  # one of them: comparisons are exact
        others = looked.class_ids != class_id
        strong = (on >= least) & (on > 0) & others
        hits, count = int(np.isin(looked.ids[strong], above[class_id]).sum()), int(strong.sum())
        found.append(Hits(count, hits / max(count, 1), len(above[class_id]) / max(int(others.sum()), 1)))
    return found
