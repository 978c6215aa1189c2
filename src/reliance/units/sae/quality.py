"""How well an SAE reconstructs."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from reliance.units.sae.apply import Applied


@torch.no_grad()
def measure_quality(sae: Applied, blocks: Iterable[Tensor]) -> dict[str, Any]:
    """How well blocks of x [n, d] are reconstructed, over all their rows.

    Returns explained_variance (1 - sum |x - xhat|^2 / sum |x - mean x|^2), cosine (mean cos(x, xhat)),
    scale_ratio (mean |xhat| / |x|), l0 (mean number of active latents) and n. Latents that never fire are
    counted elsewhere, on train. Raises ValueError without any row, or if all rows are the same.
    """
    d = sae.parameters.encoder_weight.shape[1]
    sums = torch.zeros(4, dtype=torch.float64)
    total = torch.zeros(d, dtype=torch.float64)
    squares, n = 0.0, 0
    for block in blocks:
        x = block.to(sae.parameters.bias)
        code, xhat = sae.reconstruct(x)
        ratio = xhat.norm(dim=1) / x.norm(dim=1)
        cosine = cosine_similarity(x, xhat, dim=1)
        on = code.values != 0
        found = [(x - xhat).square().sum(1), cosine, ratio, on.sum(1)]
        sums += torch.stack([f.double().sum() for f in found]).cpu()
        wide = x.double()
        total += wide.sum(0).cpu()
        squares += wide.square().sum().item()
        n += len(x)
    variance = squares - total.square().sum().item() / max(n, 1)
    if not variance > 0:
        raise ValueError(f"explained variance needs rows that differ, got {n} rows")
    error, cosine_sum, ratio_sum, active_sum = sums.tolist()
    return {
        "explained_variance": 1 - error / variance,
        "cosine": cosine_sum / n,
        "scale_ratio": ratio_sum / n,
        "l0": active_sum / n,
        "n": n,
    }
