"""Latents that fire above thresholds of their own: how JumpReLU, batch top-k and ReLU SAEs are applied.

    a = pre [pre > theta]      pre = (x - b) E^T + e      theta [m] >= 0

An image has as many active latents as pass; a code holds the k strongest of them, and k, the width of the
store, is declared large enough to hold nearly all. Batch top-k is that with one
theta for all latents, ReLU with theta = 0.
"""

from torch import Tensor

from reliance.units.sae.sparse import Code, Encoder, Parameters, Thresholded, preactivations, top_k


def encode(x: Tensor, parameters: Parameters | Thresholded, k: int) -> Code:
    """The code of x [n, d]: at most the k strongest of the latents above their thresholds."""
    return top_k(passing(preactivations(x, parameters), parameters), k)


def passing(pre: Tensor, parameters: Parameters | Thresholded) -> Tensor:
    """Pre-activations [n, m] with what does not pass set to 0, in place."""
    threshold = parameters.threshold if isinstance(parameters, Thresholded) else pre.new_zeros(())
    return pre.masked_fill_(pre <= threshold.to(pre.dtype), 0)


def active_counts(x: Tensor, parameters: Parameters | Thresholded) -> Tensor:
    """How many latents pass on each row of x [n, d], int64 [n]."""
    return (passing(preactivations(x, parameters), parameters) > 0).sum(1)


ENCODER = Encoder("jumprelu", encode)
