"""What the protocols need of the units, the tail behind them, and of a block of images."""

from typing import NamedTuple

import numpy as np
import torch

from reliance.faithfulness.sample import Images
from reliance.faithfulness.schema import FROZEN
from reliance.tails.protocol import Active, Stretch, Tail


class Bench(NamedTuple):
    """What all blocks share, on one device in float64."""

    tail: Tail  # of C classes
    alone: torch.Tensor  # LogitLens_j(t) [C, m]
    offset: torch.Tensor  # b of the units [d]
    steps: int  # S


def open_bench(tail: Tail, offset: np.ndarray, steps: int) -> Bench:
    """The bench of a tail and the offset [d] of its units."""
    alone = tail.alone()
    return Bench(tail, alone, torch.as_tensor(offset).to(alone), steps)


class Loaded(NamedTuple):
    """n images on the device of the bench, in its dtype."""

    x: torch.Tensor  # [n, d]
    active: Active

    @property
    def values(self) -> torch.Tensor:
        """Activations [n, k], 0 is inactive."""
        return self.active.values

    @property
    def indices(self) -> torch.Tensor:
        """int64 [n, k]."""
        return self.active.indices


def load(bench: Bench, images: Images) -> Loaded:
    """Images on the device of the bench."""
    x = torch.as_tensor(images.x).to(bench.alone)
    active = bench.tail.activate(images.values, images.indices, images.rows)
    return Loaded(active.at(x), active)


def stretch_of(bench: Bench, loaded: Loaded, error_term: str) -> Stretch:
    """From the class token without its active units to the one with them.

    frozen: x - aV and x as stored, so that the reconstruction error stays; dropped: b and aV + b.
    """
    added = loaded.active.sum
    if error_term == FROZEN:
        return loaded.active.stretch(loaded.x - added, loaded.x)
    offset = bench.offset.repeat(loaded.x.shape[1] // len(bench.offset))  # of many tokens, each has it
    return loaded.active.stretch(offset.expand_as(loaded.x), added + offset)


def see(bench: Bench, rows: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """LogitLens_j(t) [n, c, k] of prompts `rows` int64 [n, c] and units `indices` [n, k]."""
    return bench.alone[rows[:, :, None], indices[:, None, :]]
