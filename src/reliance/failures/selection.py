"""From flagged components to cases: the strongest few of each class, without repetitions.

A case's score is its mean relevance times the number of its flagged images, times its hit rate where that
was counted (`repair.hits`). Within a class, from the strongest down, a flag whose images mostly belong to a
case already kept is that case again, seen through another component: it is absorbed if the two share at least
half of the smaller one's images.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Case(NamedTuple):
    """One case: a component that stands out for a class, and its distractors."""

    class_id: int
    component: int
    rank: int  # 1 is the strongest of its class
    score: float
    q_value: float
    images: np.ndarray  # image_id of its flagged images, ascending int64
    absorbed: list[int]  # components that are the same case


def select_cases(
    flags: pd.DataFrame, samples: pd.DataFrame, max_cases_per_class: int, overlap: float
) -> list[Case]:
    """The cases of all classes, by class and rank.

    flags : class_id, component, n_flagged, mean_relevance, q_value; hit_rate or none.
    samples : class_id, component, image_id of all flags.
    """
    images = {
        key: np.sort(group.to_numpy())
        for key, group in samples.groupby(["class_id", "component"])["image_id"]
    }
    scored = flags.assign(score=flags["mean_relevance"] * flags["n_flagged"] * flags.get("hit_rate", 1.0))
    order = scored.sort_values(["class_id", "score", "component"], ascending=[True, False, True])
    columns = (order[name].tolist() for name in ("class_id", "component", "score", "q_value"))
    cases: dict[int, list[Case]] = {}
    for class_id, component, score, q_value in zip(*columns, strict=True):
        kept, own = cases.setdefault(class_id, []), images[class_id, component]
        keeper = next((c for c in kept if shared(c.images, own) >= overlap), None)
        if keeper is not None:
            keeper.absorbed.append(component)
        elif len(kept) < max_cases_per_class:
            kept.append(Case(class_id, component, len(kept) + 1, score, q_value, own, []))
    return [case for kept in cases.values() for case in kept]


def shared(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the smaller set of images that is in the other: |A n B| / min(|A|, |B|)."""
    common = np.intersect1d(first, second, assume_unique=True)
    return len(common) / min(len(first), len(second))
