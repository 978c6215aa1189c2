"""Top-k without the ReLU, as the paper's public code has it: only imported SAEs are of this kind.

    a = topk((x - b) E^T + e)

Activations may be negative: a file says `activation: signed_topk` then, and nothing here trains one.
"""

from torch import Tensor

from reliance.units.sae.sparse import Code, Encoder, Parameters, preactivations, top_k


def encode(x: Tensor, parameters: Parameters, k: int) -> Code:
    """The code of x [n, d]."""
    return top_k(preactivations(x, parameters), k, signed=True)


ENCODER = Encoder("signed_topk", encode)
