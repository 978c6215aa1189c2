"""Segmentation of a class by what neurons see (V4).

A neuron writes along r_n; for the prompt of a class it has the weight w_n = r_n . t. Heat of a patch is

    published   mean of p_n(t) over the 200 neurons with the largest |w_n|, whatever their sign
    signed      sum of w_n (p_n(t) - mean p_n(t) over images) over all neurons

scaled to 0..1 on each image, drawn at the size of the picture, and cut at one half. Average precision and
curves of precision against recall go by the order of the pixels, without a cut.
"""

from typing import NamedTuple

import numpy as np
import torch

from reliance.lens.schema import RECALLS

STRONGEST, CUT = 200, 0.5


class Scores(NamedTuple):
    """Of n heat maps against masks, [n] each; nan where a mask is empty or the whole picture."""

    accuracy: np.ndarray  # share of pixels that are on the right side of the cut
    iou: np.ndarray  # mean of intersection over union of inside and outside
    precision: np.ndarray  # average precision of pixels
    area: np.ndarray  # the mask's share of the picture: the precision of any order that knows nothing
    curve: np.ndarray  # [n, RECALLS] precision where recall first reaches each of them


def published_heat(p: torch.Tensor, weight: torch.Tensor, strongest: int = STRONGEST) -> torch.Tensor:
    """[n, T - 1] of activations p [n, T, N] and weights [n, N]."""
    chosen = weight.abs().topk(min(strongest, weight.shape[1]), dim=1).indices
    picked = torch.gather(p[:, 1:], 2, chosen[:, None].expand(-1, p.shape[1] - 1, -1))
    heat: torch.Tensor = picked.float().mean(2)
    return heat


def signed_heat(p: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """[n, T - 1] of activations p [n, T, N], weights [n, N], and their means over images [T, N]."""
    heat: torch.Tensor = ((p[:, 1:].float() - mean[1:]) @ weight.float()[:, :, None])[..., 0]
    return heat


def random_heat(p: torch.Tensor, strongest: int, generator: torch.Generator) -> torch.Tensor:
    """Mean over as many neurons drawn at random [n, T - 1]: the control."""
    weight = torch.rand(len(p), p.shape[2], generator=generator).to(p.device)
    return published_heat(p, weight, strongest)


def scaled(heat: np.ndarray) -> np.ndarray:
    """Heat [n, h, w] to 0..1 on each image; 0 where all is alike."""
    low, high = heat.min((1, 2), keepdims=True), heat.max((1, 2), keepdims=True)
    found: np.ndarray = np.divide(heat - low, high - low, out=np.zeros_like(heat), where=high > low)
    return found


def segmented(heat: np.ndarray, mask: np.ndarray) -> Scores:
    """Heat [n, h, w], in any scale, against masks bool [n, h, w]."""
    inside = scaled(heat) > CUT
    both, either = (inside & mask).sum((1, 2)), (inside | mask).sum((1, 2))
    neither, outside = (~inside & ~mask).sum((1, 2)), (~inside | ~mask).sum((1, 2))
    known = mask.any((1, 2)) & ~mask.all((1, 2))
    iou = (both / np.maximum(either, 1) + neither / np.maximum(outside, 1)) / 2
    ranked = [precisions(h, m) for h, m in zip(heat, mask, strict=True)]
    precision, curve = np.array([r[0] for r in ranked]), np.stack([r[1] for r in ranked])
    found = ((inside == mask).mean((1, 2)), iou, precision, mask.mean((1, 2)), curve)
    return Scores(*(np.where(known, values.T, np.nan).T for values in found))


def precisions(heat: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """(average precision, precision at RECALLS [r]) of pixels, nan for an empty mask; ties count as one step.

    Average precision is the mean over the pixels of the mask of the precision at their heat.
    """
    flat, truth = heat.ravel(), mask.ravel()
    if not truth.any():
        return float("nan"), np.full(len(RECALLS), np.nan)
    levels = np.sort(np.unique(flat))[::-1]
    place = np.searchsorted(-levels, -flat)
    hits = np.bincount(place, truth, len(levels)).cumsum()
    seen = np.bincount(place, minlength=len(levels)).cumsum()
    precision = hits / seen
    reached = np.searchsorted(hits, np.ceil(np.array(RECALLS) * truth.sum() / 100 - 1e-9))
    return float(precision[place[truth]].mean()), precision[reached]
