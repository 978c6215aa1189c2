"""One order over all latents per class, by mean scores over images (global and reference deletion).

An image in which a latent is inactive counts as 0. Scores are summed, which orders as their mean does.
"""

import numpy as np
import torch

from reliance.faithfulness.bench import Bench, Loaded, see
from reliance.faithfulness.orderings import Scored, best_of_all, image_scores

Orders = dict[str, torch.Tensor]  # method -> latents int64 [classes, S], -1 beyond the last


def own_orders(bench: Bench, block: Loaded, label: np.ndarray, scores: dict[str, torch.Tensor]) -> Orders:
    """Orders by scores [n, k] over each class's own images; label int64 [n], ascending."""
    indices = block.indices.cpu().numpy()
    first = np.flatnonzero(np.diff(label, prepend=-1))
    latents = np.split(indices, first[1:])
    found = {}
    for method, tensor in scores.items():
        own = np.split(tensor.cpu().numpy(), first[1:])
        sums = [_sums(j, s, bench.alone.shape[1]) for j, s in zip(latents, own, strict=True)]
        found[method] = to_orders(bench, np.stack(sums))
    return found


def reference_orders(bench: Bench, classes: np.ndarray, reference: list[Scored]) -> Orders:
    """Orders by the scores of reference images with the prompts `classes` int64 [c]."""
    totals: dict[str, np.ndarray] = {}
    m = bench.alone.shape[1]
    for images in reference:
        rows = torch.as_tensor(classes, device=bench.alone.device).expand(len(images.active.values), -1)
        lens = see(bench, rows, images.active.indices)
        indices = images.active.indices.cpu().numpy()
        for method, scores in image_scores(images, rows, lens).items():
            total = totals.setdefault(method, np.zeros((len(classes), m)))
            for c, own in enumerate(scores.transpose(0, 1).cpu().numpy()):
                total[c] += _sums(indices, own, m)
    return {method: to_orders(bench, total) for method, total in totals.items()}


def to_orders(bench: Bench, scores: np.ndarray) -> torch.Tensor:
    """The first S latents int64 [c, S] by scores [c, m]."""
    best = np.stack([best_of_all(row, bench.steps) for row in scores])
    return torch.as_tensor(best, device=bench.alone.device)


def _sums(indices: np.ndarray, scores: np.ndarray, m: int) -> np.ndarray:
    return np.bincount(indices.ravel(), scores.ravel(), minlength=m)
