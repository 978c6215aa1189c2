"""The top-k sparse autoencoder (Eq. 1), and how well it reconstructs.

    a    = topk(relu((x - b) E^T + e))      x [n, d], E [m, d], e [m], b [d]
    xhat = a V + b                          V [m, d] with unit rows (Eq. 9)

A code is k values and k indices per row: value descending, index ascending where values are equal.
Where fewer than k pre-activations are positive, value 0 and index 0 fill up. `signed` top-k leaves
out the ReLU, as the paper's public code does; only imported checkpoints use it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, embedding_bag, pad


class Parameters(NamedTuple):
    """What training learns: four tensors of one dtype on one device."""

    encoder_weight: Tensor  # E [m, d]
    encoder_bias: Tensor  # e [m]
    decoder_weight: Tensor  # V [m, d], unit rows
    bias: Tensor  # b [d]


class Code(NamedTuple):
    """The active latents of n rows."""

    values: Tensor  # [n, k], descending
    indices: Tensor  # int64 [n, k]


def preactivations(x: Tensor, parameters: Parameters, out: Tensor | None = None) -> Tensor:
    """(x - b) E^T + e [n, m]; `out` saves the time of allocating it anew, and its dtype is computed in."""
    dtype = x.dtype if out is None else out.dtype
    centred, weight = (x - parameters.bias).to(dtype), parameters.encoder_weight.to(dtype)
    return torch.addmm(parameters.encoder_bias.to(dtype), centred, weight.T, out=out)


def top_k(pre: Tensor, k: int, signed: bool = False) -> Code:
    """The k largest entries of each row of [n, m]; of equal ones those with the lowest index."""
    values, indices = pre.topk(min(k + 1, pre.shape[1]))
    tied = values[:, 1:] == values[:, :-1]  # topk keeps any of them, in any order
    if not signed:
        tied &= values[:, 1:] > 0
    rows = tied.any(1).nonzero()[:, 0]
    if len(rows):
        ordered, order = pre[rows].sort(dim=1, descending=True, stable=True)
        values[rows], indices[rows] = ordered[:, : k + 1], order[:, : k + 1]
    values, indices = values[:, :k].contiguous(), indices[:, :k].contiguous()
    if not signed:
        values.clamp_(min=0)
    return Code(values, indices.masked_fill(values == 0, 0))


def fast_top_k(pre: Tensor, k: int, dtype: torch.dtype) -> Code:
    """Like `top_k` for bfloat16 or float16 [n, m], with values in `dtype`; of equal entries any.

    Positive halves are ordered as the integers of their bits are. The k largest are in the k groups with
    the largest maxima, so that most entries are seen once, in a pass over whole vectors.
    """
    m, bits = pre.shape[1], pre.view(torch.int16)
    k = min(k, m)
    size = max(1, min(16, m // k))  # of a group
    groups = -(-m // size)
    if groups * size > m:
        bits = pad(bits, (0, groups * size - m), value=-(2**15))  # -0.0, below all others
    parts = bits.view(len(bits), size, groups)
    chosen = parts.amax(1).topk(k, sorted=False).indices  # groups [n, k]
    among = parts.gather(2, chosen[:, None].expand(-1, parts.shape[1], -1)).flatten(1)
    found, place = among.topk(k)
    indices = place // k * groups + chosen.gather(1, place % k)
    values = found.view(pre.dtype).to(dtype).clamp_(min=0)
    return Code(values, indices.masked_fill_(values == 0, 0))


def encode(x: Tensor, parameters: Parameters, k: int, signed: bool = False) -> Code:
    """The code of x [n, d]."""
    return top_k(preactivations(x, parameters), k, signed)


def decode(code: Code, parameters: Parameters) -> Tensor:
    """xhat [n, d]: only the rows of V that are active are read."""
    summed = embedding_bag(
        code.indices, parameters.decoder_weight, per_sample_weights=code.values, mode="sum"
    )
    return summed + parameters.bias


@torch.no_grad()
def measure_quality(parameters: Parameters, k: int, blocks: Iterable[Tensor]) -> dict[str, Any]:
    """How well blocks of x [n, d] are reconstructed, over all their rows.

    Returns explained_variance (1 - sum |x - xhat|^2 / sum |x - mean x|^2), cosine (mean cos(x, xhat)),
    scale_ratio (mean |xhat| / |x|), l0 (mean number of active latents), silent (latents that are
    active nowhere) and n. Raises ValueError without any row, or if all rows are the same.
    """
    m, d = parameters.encoder_weight.shape
    sums = torch.zeros(4, dtype=torch.float64)
    total = torch.zeros(d, dtype=torch.float64)
    squares, n = 0.0, 0
    active = torch.zeros(m, dtype=torch.bool)
    for block in blocks:
        x = block.to(parameters.bias)
        code = encode(x, parameters, k)
        xhat = decode(code, parameters)
        ratio = xhat.norm(dim=1) / x.norm(dim=1)
        cosine = cosine_similarity(x, xhat, dim=1)
        on = code.values != 0
        found = [(x - xhat).square().sum(1), cosine, ratio, on.sum(1)]
        sums += torch.stack([f.double().sum() for f in found]).cpu()
        wide = x.double()
        total += wide.sum(0).cpu()
        squares += wide.square().sum().item()
        active[code.indices[on].cpu()] = True
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
        "silent": int(m - active.sum()),
        "n": n,
    }
