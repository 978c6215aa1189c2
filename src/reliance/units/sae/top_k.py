"""The top-k sparse autoencoder (Eq. 1): a kind of architecture, a row of `kinds`.

    a    = topk(relu((x - b) E^T + e))      x [n, d], E [m, d], e [m], b [d]
    xhat = a V + b                          V [m, d] with unit rows (Eq. 9)

It learns by the fused step over active latents (`step`), in the loop of all architectures (`train`).
"""

from torch import Tensor

from reliance.config.sae import SaeTraining
from reliance.units.sae.sparse import Code, Encoder, Parameters, preactivations, top_k
from reliance.units.sae.step import step
from reliance.units.sae.train import Architecture, Files, Running, train_sae


def encode(x: Tensor, parameters: Parameters, k: int) -> Code:
    """The code of x [n, d]."""
    return top_k(preactivations(x, parameters), k)


ENCODER = Encoder("topk", encode)


def train(*, files: Files, settings: SaeTraining, running: Running = Running()) -> None:  # noqa: B008
    """Train a top-k SAE on the readable rows of one or more splits (Eqs. 9 and 10); see `train_sae`."""
    train_sae(Architecture(ENCODER, step), files, settings, running)
