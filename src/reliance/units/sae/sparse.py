"""What sparse autoencoders of every architecture share: parameters, codes, selection, decoding.

A code is k values and k indices per row: value descending, index ascending where values are equal.
Where fewer than k pre-activations are positive, value 0 and index 0 fill up.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Parameters(NamedTuple):
    """What training learns: four tensors of one dtype on one device."""

    encoder_weight: Tensor  # E [m, d]
    encoder_bias: Tensor  # e [m]
    decoder_weight: Tensor  # V [m, d], unit rows
    bias: Tensor  # b [d]


class Thresholded(NamedTuple):
    """Parameters of an SAE whose latents fire above thresholds (`threshold`)."""

    encoder_weight: Tensor  # E [m, d]
    encoder_bias: Tensor  # e [m]
    decoder_weight: Tensor  # V [m, d], unit rows
    bias: Tensor  # b [d]
    threshold: Tensor  # theta [m] >= 0


class Code(NamedTuple):
    """The active latents of n rows."""

    values: Tensor  # [n, k], descending
    indices: Tensor  # int64 [n, k]


class Encoder(NamedTuple):
    """How SAEs with one kind of activation are applied."""

    activation: str  # its name in the files of such SAEs
    encode: Callable[[Tensor, Any, int], Code]  # the code of x [n, d] with at most k active latents


def random_rows(m: int, d: int, seed: int) -> np.ndarray:
    """m random directions of length one, float32 [m, d]: what V and E are before they learn."""
    rows = np.random.default_rng([seed, 0]).standard_normal((m, d), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def preactivations(x: Tensor, parameters: Parameters | Thresholded, out: Tensor | None = None) -> Tensor:
    """(x - b) E^T + e [n, m]; `out` saves the time of allocating it anew, and its dtype is computed in."""
    dtype = x.dtype if out is None else out.dtype
    centred, weight = (x - parameters.bias).to(dtype), parameters.encoder_weight.to(dtype)
    return torch.addmm(parameters.encoder_bias.to(dtype), centred, weight.T, out=out)


def top_k(pre: Tensor, k: int, signed: bool = False) -> Code:
    """The k largest entries of each row of [n, m]; of equal ones those with the lowest index.

    `signed` leaves out the ReLU, so that values may be negative.
    """
    among, place = _candidates(pre, min(k + 1, pre.shape[1]))
    values, chosen = among.topk(min(k + 1, pre.shape[1]))
    indices = place(chosen)
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

    Positive halves are ordered as the integers of their bits are.
    """
    k = min(k, pre.shape[1])
    among, place = _candidates(pre.view(torch.int16), k)
    found, chosen = among.topk(k)
    values = found.view(pre.dtype).to(dtype).clamp_(min=0)
    return Code(values, place(chosen).masked_fill_(values == 0, 0))


def _candidates(pre: Tensor, k: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """(entries [n, c] of `pre` [n, m], the k largest among them; what turns columns of these into its own).

    The k largest are in the k groups of entries with the largest maxima, so that most entries are seen
    once, in a pass over whole vectors. Of entries as large as the smallest any may be there.
    """
    size = min(16, pre.shape[1] // k)  # of a group
    groups = pre.shape[1] // max(size, 1)
    if size < 2:
        return pre, lambda chosen: chosen
    inside = size * groups  # what is left over, less than a group, is always looked at
    parts = torch.unflatten(pre[:, :inside], 1, (size, groups))
    strongest = parts.amax(1).topk(k, sorted=False).indices  # groups [n, k]
    among = parts.gather(2, strongest[:, None].expand(-1, size, -1)).flatten(1)
    among = torch.cat([among, pre[:, inside:]], 1)

    def place(chosen: Tensor) -> Tensor:
        grouped = chosen // k * groups + strongest.gather(1, chosen % k)
        return torch.where(chosen < size * k, grouped, chosen - size * k + inside)

    return among, place


def decode(code: Code, parameters: Parameters | Thresholded) -> Tensor:
    """xhat [n, d]: only the rows of V that are active are read."""
    summed = embedding_bag(
        code.indices, parameters.decoder_weight, per_sample_weights=code.values, mode="sum"
    )
    return summed + parameters.bias


def on_device(arrays: Mapping[str, np.ndarray], device: str) -> Parameters | Thresholded:
    """The arrays of an SAE as tensors."""
    tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    return Thresholded(**tensors) if "threshold" in tensors else Parameters(**tensors)
