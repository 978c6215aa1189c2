"""Codes of the patches of an image, pooled into one code of the image, with the place of each maximum."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from reliance.units.sae.apply import Applied
from reliance.units.sae.sparse import top_k

Pooling = Literal["max", "mean"]
_PLACES = 16  # bits of a patch's number
_ELEMENTS = {"cpu": 1 << 23, "cuda": 1 << 28}  # pre-activations held at a time


class Pooled(NamedTuple):
    """The code of n images."""

    values: Tensor  # float32 [n, k], descending; 0 is inactive
    indices: Tensor  # int64 [n, k]
    places: Tensor  # int64 [n, k], the patch on which each is strongest, the first of equals


@torch.no_grad()
def codes_of(patches: Tensor, sae: Applied) -> tuple[Tensor, Tensor]:
    """Codes of patches [n, P, d]: values [n, P, k] and indices int64 [n, P, k]."""
    n, count, d = patches.shape
    rows = patches.reshape(n * count, d).to(sae.parameters.bias)
    step = max(1, _ELEMENTS[rows.device.type] // len(sae.parameters.encoder_bias))
    found = [sae.encode(part) for part in torch.split(rows, step)]
    values, indices = (torch.cat([code[i] for code in found]) for i in (0, 1))
    shape = (n, count, values.shape[1])
    return values.view(shape), indices.view(shape)


@torch.no_grad()
def pooled(patches: Tensor, sae: Applied, width: int, pooling: Pooling = "max") -> Pooled:
    """The code of images from their patches [n, P, d], float32: the `width` strongest latents of each.

    pooling : "max", or "mean" over all P patches, with zeros where a latent is silent. Of signed
    activations only the positive ones count.
    """
    values, indices = codes_of(patches, sae)
    n, count, k = values.shape
    m = len(sae.parameters.encoder_bias)
    values = values.float().clamp(min=0)
    # Positive floats order as their bits do: the largest key has the largest value, then the first patch.
    last_first = torch.arange(count - 1, -1, -1, device=values.device)[:, None].expand(count, k)
    keys = (values.view(torch.int32).long() << _PLACES) | last_first
    keys = torch.where(values > 0, keys, 0).reshape(n, -1)
    flat = indices.reshape(n, -1)
    best = keys.new_zeros(n, m).scatter_reduce_(1, flat, keys, "amax")
    if pooling == "mean":
        scores = values.new_zeros(n, m).scatter_add_(1, flat, values.reshape(n, -1)) / count
    else:
        scores = (best >> _PLACES).int().view(torch.float32)
    code = top_k(scores, min(width, m))
    at = count - 1 - (best.gather(1, code.indices) & ((1 << _PLACES) - 1))
    return Pooled(code.values, code.indices, at.masked_fill(code.values == 0, 0))


@torch.no_grad()
def on_patches(patches: Tensor, sae: Applied, wanted: Tensor) -> Tensor:
    """Activations [n, P, k] of the latents `wanted` int64 [n, k] on every patch of images [n, P, d]."""
    values, indices = codes_of(patches, sae)
    found = []
    for own, place, units in zip(values.clamp(min=0), indices, wanted, strict=True):
        dense = own.new_zeros(len(own), len(sae.parameters.encoder_bias))
        found.append(dense.scatter_reduce_(1, place, own, "amax")[:, units])
    return torch.stack(found) if found else values.new_zeros(*values.shape[:2], wanted.shape[1])
