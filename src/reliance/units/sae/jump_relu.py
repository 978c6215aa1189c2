"""JumpReLU (Rajamanoharan et al. 2024): every latent learns the threshold above which it fires.

    a = pre [pre > theta]
    loss = L(x, xhat) + auxiliary + sparsity_weight (l0 / k - 1)^2        l0: mean active latents of the batch

The steps at theta have no gradient. In its place stands that of a ramp of width w around theta, for entries
with |pre - theta| < w / 2 (the paper's straight-through estimator with a rectangle):

    da/dtheta = -theta / w        d[pre > theta]/dtheta = -1 / w        w = jump_width times the mean theta

Thresholds start equal, where l0 = k; below 0 they count as 0. A code is `max_active` wide, four times k
unless that is given.
"""

from functools import partial

import torch
from torch import Tensor

from reliance.config.sae import SaeTraining
from reliance.units.sae.batch_top_k import wide, with_threshold
from reliance.units.sae.files import Data
from reliance.units.sae.ragged import Active, ragged_step, row_products
from reliance.units.sae.sparse import Thresholded
from reliance.units.sae.step import Objective, Step
from reliance.units.sae.threshold import ENCODER as APPLIED
from reliance.units.sae.train import Architecture, Files, Running, train_sae

ENCODER = APPLIED


@torch.no_grad()
def step(
    parameters: Thresholded,
    x: Tensor,
    objective: Objective,
    dead: Tensor | None,
    buffer: Tensor | None,
    *,
    sparsity_weight: float,
    jump_width: float,
) -> Step:
    """Loss and gradients of one batch, also of the thresholds; the sparsity term counts as scale."""
    theta = parameters.threshold.clamp(min=0)
    width = jump_width * theta.mean().clamp(min=1e-6)
    near: list[Active] = []

    def select(pre: Tensor, _: Objective) -> Active:
        row, latent = (pre > (theta - width / 2).clamp(min=0).to(pre.dtype)).nonzero(as_tuple=True)
        value, limit = pre[row, latent].to(theta.dtype), theta[latent]
        ramp = (value - limit).abs() < width / 2
        near.append(Active(row[ramp], latent[ramp], value[ramp]))
        on = value > limit
        return Active(row[on], latent[on], value[on])

    found, passed = ragged_step(parameters, x, objective, dead, buffer, select)
    excess = passed.active / len(x) / objective.k - 1
    penalty = sparsity_weight * excess**2
    slopes = row_products(passed.upstream, parameters.decoder_weight, near[0].row, near[0].latent)
    pull = 2 * sparsity_weight * excess / (objective.k * len(x))
    each = -(theta[near[0].latent] * slopes + pull) / width
    gradient = torch.zeros_like(theta).index_add_(0, near[0].latent, each)
    gradients = Thresholded(*found.gradients[:4], gradient)
    loss = found.loss._replace(total=found.loss.total + penalty, scale=found.loss.scale + penalty)
    return found._replace(loss=loss, gradients=gradients)


def at_least_zero(parameters: Thresholded, data: Data, settings: SaeTraining) -> Thresholded:
    """The parameters with thresholds as they are applied."""
    return parameters._replace(threshold=parameters.threshold.clamp(min=0))


def train(*, files: Files, settings: SaeTraining, running: Running = Running()) -> None:  # noqa: B008
    """Train a JumpReLU SAE on the readable rows of one or more splits; see `train_sae`."""
    own = partial(step, sparsity_weight=settings.sparsity_weight, jump_width=settings.jump_width)
    train_sae(Architecture(ENCODER, own, with_threshold, at_least_zero, wide), files, settings, running)
