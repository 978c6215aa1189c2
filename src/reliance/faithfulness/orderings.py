"""Orders in which latents are deleted or inserted: by each method's scores, at random, greedily.

Every order is by descending score; equal scores keep the order of position (or index of the latent).
Orders are cut after S latents.
"""

from typing import NamedTuple

import numpy as np
import torch

from reliance.tails.protocol import ABLATION, ACT_X_GRAD, INTEGRATED, Active, Stretch, Walk

FORMS = (ACT_X_GRAD, ABLATION, INTEGRATED)  # the scores that are relevances


class Scored(NamedTuple):
    """n images as their scores see them."""

    active: Active
    stretch: Stretch


def image_scores(images: Scored, rows: torch.Tensor, lens: torch.Tensor) -> dict[str, torch.Tensor]:
    """Scores [n, C, k] that look at the image, by method, for prompts `rows` int64 [n, C].

    lens [n, C, k]: LogitLens_j(t) (Eq. 3).
    """
    return images.stretch.relevances(FORMS, rows) | {
        "act_x_lens": images.active.values[:, None] * lens,
        "energy": images.active.energy[:, None].expand_as(lens),
    }


def best_active(scores: torch.Tensor, values: torch.Tensor, steps: int) -> torch.Tensor:
    """Positions int64 [n, S] of the highest scores [n, k] among active latents; -1 when none is left."""
    ranked = torch.where(values != 0, scores, -torch.inf).sort(dim=1, descending=True, stable=True)
    positions = torch.where(ranked.values > -torch.inf, ranked.indices, -1)[:, :steps]
    return torch.nn.functional.pad(positions, (0, steps - positions.shape[1]), value=-1)


def best_of_all(scores: np.ndarray, steps: int) -> np.ndarray:
    """Latents int64 [S] of the highest scores [m], inactive ones included; -1 when none is left."""
    count = min(steps, len(scores))
    least = float(torch.as_tensor(scores).topk(count).values[-1])
    candidates = np.flatnonzero(scores >= least)
    best = candidates[np.argsort(-scores[candidates], kind="stable")[:count]]
    return np.pad(best, (0, steps - count), constant_values=-1)


def start_of_random_order(rng: np.random.Generator, n: int, m: int, steps: int) -> np.ndarray:
    """The first S of n random orders of m latents, int64 [n, S]; -1 when none is left.

    A random subset grows by one latent at a time (Floyd) and is then shuffled, so that no order of
    all m is made.
    """
    count = min(steps, m)
    drawn = np.full((n, count), -1, np.int64)
    for i, last in enumerate(range(m - count, m)):
        candidate = rng.integers(0, last + 1, n)
        taken = (drawn == candidate[:, None]).any(axis=1)
        drawn[:, i] = np.where(taken, last, candidate)
    return np.pad(rng.permuted(drawn, axis=1), ((0, 0), (0, steps - count)), constant_values=-1)


def find(latents: torch.Tensor, values: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Positions int64 [n, S] of latents [n, S] in the codes of their images; -1 where not active."""
    there = (latents[:, :, None] == indices[:, None]) & (values != 0)[:, None]
    return torch.where(there.any(2), there.to(torch.uint8).argmax(2), -1)


def greedy(at: Walk, steps: int, sign: int) -> torch.Tensor:
    """Positions int64 [n, S] of the best move, step by step, given the moves before; -1 when none is left.

    sign : -1 deletes the latent after which y is lowest, +1 inserts the one after which it is highest.
    """
    left = at.values != 0
    positions = []
    for _ in range(steps):
        cost = torch.where(left, -sign * at.single_moves(sign), torch.inf)
        best = cost.sort(dim=1, stable=True).indices[:, :1]
        position = torch.where(left.any(1), best[:, 0], -1)
        left = left.scatter(1, best, False)
        at = at.advance(position, sign)
        positions.append(position)
    return torch.stack(positions, 1)
