"""What a linear probe relies on: its log-odds attributed to components in closed form (Eq. 5).

With w the weights, s the factor and z the image embedding,

    log-odds = s w.z/|z| + b = s |w| cos(z, w/|w|) + b,

the head maths of a text prompt with w/|w| in place of the text embedding, times s |w|.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from reliance.audits.files import Probes
from reliance.audits.inputs import ProbedImages
from reliance.tails.linear import LinearTail
from reliance.tails.protocol import Tail


def probe_relevance(
    tail: Tail,
    images: ProbedImages,
    weight: np.ndarray,
    scale: float,
    relevance: str = "act_x_grad",
    raw: LinearTail | None = None,
) -> np.ndarray:
    """Relevance of every active component for the log-odds of probes, towards the positive class.

    tail : opened for the probes' weights. weight : [q, p]. Returns float64 [q, n, k]; 0 where a component is
    inactive (values 0). raw : the tail of the first probe alone, if that reads z instead of z/|z|.
    """
    scores = tail.score(images.x, images.values, images.indices)
    rows = torch.arange(len(scores.y), device=scores.y.device)
    lengths = scale * np.linalg.norm(weight.astype(np.float64), axis=1)
    found = [scores.relevance(relevance, rows, torch.full_like(rows, i)) for i in range(len(weight))]
    stacked = torch.stack(found).cpu().numpy().astype(np.float64) * lengths[:, None, None]
    if raw is not None:
        stacked[:1] = scale * raw.relevance(images.x, images.values, images.indices, relevance)
    return np.where(images.values != 0, stacked, 0.0)


def mean_relevances(
    tail: Tail,
    blocks: Iterable[ProbedImages],
    probes: Probes,
    chosen: list[int],
    relevance: str = "act_x_grad",
    raw: LinearTail | None = None,
) -> pd.DataFrame:
    """Rows of RELEVANCES: mean relevance of every component that fires, for some probes and both classes.

    tail : opened for the weights of the probes `chosen`, rows of `probes`. raw : as above. The mean is over
    all images of a class, zeros included; relevance towards the negative class is that towards the positive
    one with the other sign.
    """
    m = tail.units
    sums, counts, fires = np.zeros((len(chosen), 2, m)), np.zeros(2, np.int64), np.zeros(m, bool)
    for block in blocks:
        found = probe_relevance(tail, block, probes.weight[chosen], probes.scale, relevance, raw)
        fires[block.indices[block.values != 0]] = True
        for positive in (False, True):
            own = block.positive == positive
            counts[int(positive)] += int(own.sum())
            for i, values in enumerate(found):
                sums[i, int(positive)] += np.bincount(
                    block.indices[own].reshape(-1), values[own].reshape(-1), m
                )
    means = sums / np.maximum(counts, 1)[:, None]
    names, components = probes.names(), np.flatnonzero(fires)
    return pd.concat(
        [
            _ranked(names[row], components, positive, int(counts[positive]), sign * means[i, positive, fires])
            for i, row in enumerate(chosen)
            for positive, sign in ((0, -1.0), (1, 1.0))
        ],
        ignore_index=True,
    )


def shares(relevance: np.ndarray) -> np.ndarray:
    """Percent that each mean relevance has of the sum of their absolute values; 0 if all are 0."""
    total = np.abs(relevance).sum()
    return 100 * np.abs(relevance) / total if total else np.zeros_like(relevance)


def _ranked(probe: str, components: np.ndarray, positive: int, n: int, relevance: np.ndarray) -> pd.DataFrame:
    order = np.argsort(-relevance, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    columns = {"probe": probe, "component": components, "positive": bool(positive), "n": n}
    return pd.DataFrame({**columns, "relevance": relevance, "share": shares(relevance), "rank": rank})
