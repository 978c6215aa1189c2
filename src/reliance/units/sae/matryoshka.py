"""Matryoshka (Bussmann et al. 2025): batch top-k whose first latents are dictionaries of their own.

    loss = mean over prefixes m_1 < ... < m_G = m of L(x, xhat of the latents before m_g)

Each prefix reconstructs as well as it can alone, so that broad concepts come first and are not absorbed by
narrow ones. Prefixes are the shares `prefixes` of m. Applied as batch top-k is: `batch_top_k`.
"""

from functools import partial

from torch import Tensor

from reliance.config.sae import SaeTraining
from reliance.units.sae.batch_top_k import ENCODER as APPLIED
from reliance.units.sae.batch_top_k import wide, with_threshold
from reliance.units.sae.ragged import among_all, ragged_step
from reliance.units.sae.sparse import Parameters
from reliance.units.sae.step import Objective, Step
from reliance.units.sae.train import Architecture, Files, Running, train_sae

ENCODER = APPLIED


def sizes(settings: SaeTraining) -> tuple[int, ...]:
    """m_g, ascending, without those that are the same, at least 1."""
    return tuple(sorted({max(1, round(share * settings.m)) for share in (*settings.prefixes, 1.0)}))


def step(
    parameters: Parameters,
    x: Tensor,
    objective: Objective,
    dead: Tensor | None,
    buffer: Tensor | None,
    prefixes: tuple[int, ...],
) -> Step:
    """Loss and gradients of one batch."""
    return ragged_step(parameters, x, objective, dead, buffer, among_all, prefixes)[0]


def train(*, files: Files, settings: SaeTraining, running: Running = Running()) -> None:  # noqa: B008
    """Train a Matryoshka SAE on the readable rows of one or more splits; see `train_sae`."""
    own = partial(step, prefixes=sizes(settings))
    train_sae(Architecture(ENCODER, own, finish=with_threshold, width=wide), files, settings, running)
