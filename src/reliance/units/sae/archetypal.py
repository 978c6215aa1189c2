"""Archetypal SAE (Fel et al. 2025): top-k whose decoder rows are mixtures of images.

    V_j = u_j / |u_j|      u_j = sum_c w_jc^2 p_c      |w_j| = 1, so that w_j^2 are shares that sum to 1

p are some training images minus their mean, evenly spaced, and what is learned is w in the place of V: its
rows keep length one as those of V do. The step is that of top-k, and its gradient goes on to w:

    dL/du_j = (dV_j - (V_j . dV_j) V_j) / |u_j|      dL/dw_jc = 2 w_jc (dL/du_j . p_c)

So latents are held to what images look like, and seeds have more to agree on. The paper's relaxation, a small
step out of the hull, is left out. Two dense products of [m, c] and [c, d] come to each step. Stored and
applied as top-k is.
"""

import numpy as np
import torch
from torch import Tensor

from reliance.config.sae import SaeTraining
from reliance.units.sae.files import Data
from reliance.units.sae.sparse import Parameters
from reliance.units.sae.step import Objective, Step
from reliance.units.sae.step import step as top_k_step
from reliance.units.sae.top_k import ENCODER as APPLIED
from reliance.units.sae.train import Architecture, Files, Running, train_sae

_POINTS = 1024  # c, at most
_OWN = 0.5  # share of its own image in a latent at the start; the others have the rest alike
_TINY = 1e-12  # floor of a length

ENCODER = APPLIED


class Mixtures:
    """What a training mixes its latents of."""

    points: Tensor  # [c, d], images minus their mean

    @torch.no_grad()
    def begin(self, parameters: Parameters, data: Data, settings: SaeTraining) -> Parameters:
        """Parameters with w [m, c] in the place of V; each latent starts near an image of its own."""
        rows = np.unique(np.linspace(0, len(data.x) - 1, min(_POINTS, len(data.x))).astype(np.int64))
        self.points = torch.from_numpy(data.x[rows] - data.mean).to(parameters.bias)
        m, c = len(parameters.encoder_bias), len(rows)
        shares = parameters.bias.new_full((m, c), (1 - _OWN) / c)
        order = np.random.default_rng([settings.seed, 0]).permutation(c)
        shares[torch.arange(m), torch.from_numpy(np.resize(order, m))] += _OWN
        w = shares.sqrt_()  # shares sum to one, so that rows of w have length one
        decoder, _ = self.rows(w)
        return Parameters(decoder.clone(), parameters.encoder_bias, w, parameters.bias)

    def rows(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """(V [m, d], |u| [m, 1])."""
        mixed = w.square() @ self.points
        length = mixed.norm(dim=1, keepdim=True).clamp_(min=_TINY)
        return mixed / length, length

    @torch.no_grad()
    def step(
        self,
        parameters: Parameters,
        x: Tensor,
        objective: Objective,
        dead: Tensor | None,
        buffer: Tensor | None,
    ) -> Step:
        """Loss and gradients of one batch; arguments as those of `step.step`."""
        w = parameters.decoder_weight
        decoder, length = self.rows(w)
        found = top_k_step(parameters._replace(decoder_weight=decoder), x, objective, dead, buffer)
        slope = (found.gradients.decoder_weight - found.radial[:, None] * decoder) / length
        gradient = 2 * w * (slope @ self.points.T)
        radial = (w * gradient).sum(1)
        return found._replace(gradients=found.gradients._replace(decoder_weight=gradient), radial=radial)

    def finish(self, parameters: Parameters, data: Data, settings: SaeTraining) -> Parameters:
        """The parameters with V."""
        return parameters._replace(decoder_weight=self.rows(parameters.decoder_weight)[0])


def train(*, files: Files, settings: SaeTraining, running: Running = Running()) -> None:  # noqa: B008
    """Train an archetypal SAE on the readable rows of one or more splits; see `train_sae`."""
    own = Mixtures()
    train_sae(Architecture(ENCODER, own.step, own.begin, own.finish), files, settings, running)
