"""Batch top-k (Bussmann et al. 2024): n images share n k active latents; later there is a threshold.

    learning   a = relu(pre) where it is among the n k largest of a batch, else 0
    applied    a = pre [pre > theta]       theta: the mean over batches of the smallest that was kept

So images with much in them have more latents than others. A code is `max_active` wide, four times k unless
that is given.
"""

import numpy as np
import torch
from torch import Tensor

from reliance.config.sae import SaeTraining
from reliance.units.sae.files import Data
from reliance.units.sae.ragged import among_all, ragged_step
from reliance.units.sae.sparse import Parameters, Thresholded, preactivations
from reliance.units.sae.step import Objective, Step
from reliance.units.sae.threshold import ENCODER as APPLIED
from reliance.units.sae.train import Architecture, Files, Running, train_sae

_BATCHES = 32  # that the threshold is averaged over

ENCODER = APPLIED


def step(
    parameters: Parameters, x: Tensor, objective: Objective, dead: Tensor | None, buffer: Tensor | None
) -> Step:
    """Loss and gradients of one batch."""
    return ragged_step(parameters, x, objective, dead, buffer, among_all)[0]


@torch.no_grad()
def with_threshold(parameters: Parameters, data: Data, settings: SaeTraining) -> Thresholded:
    """The parameters with theta, from batches whose rows are evenly spaced over all training images."""
    rows = len(data.x)
    size = min(settings.batch_size, rows)
    batches = min(_BATCHES, -(-rows // size))
    aims = Objective(settings.k, data.power, 0, 0, 1)
    lowest = []
    for i in range(batches):  # images may be stored class by class: no run of them is like the others
        chosen = (np.arange(size) * batches + i) * rows // (size * batches)
        x = torch.from_numpy(data.x[chosen]).to(parameters.bias)
        kept = among_all(preactivations(x, parameters), aims).value
        lowest.append(kept.min() if len(kept) else x.new_zeros(()))
    theta = torch.stack(lowest).mean()
    return Thresholded(*parameters, theta.expand(len(parameters.encoder_bias)).contiguous())


def wide(settings: SaeTraining) -> int:
    """Most active latents that a code holds."""
    return min(settings.m, settings.max_active or 4 * settings.k)


def train(*, files: Files, settings: SaeTraining, running: Running = Running()) -> None:  # noqa: B008
    """Train a batch top-k SAE on the readable rows of one or more splits; see `train_sae`."""
    train_sae(Architecture(ENCODER, step, finish=with_threshold, width=wide), files, settings, running)
