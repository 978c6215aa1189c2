"""What the protocols need of the SAE, the head, the prompts, and of a block of images."""

from typing import NamedTuple

import numpy as np
import torch

from reliance.attribution.baselines import logit_lens
from reliance.attribution.integrated import Points, Prompted, locate, reconstruct, see_prompts
from reliance.faithfulness.orderings import Forms, score_forms
from reliance.faithfulness.sample import Images
from reliance.faithfulness.schema import FROZEN
from reliance.tails.head import ImageTerms, LatentTables, PromptTables


class Bench(NamedTuple):
    """What all blocks share, on one device in float64."""

    tables: LatentTables
    prompts: PromptTables  # of C classes
    lens: torch.Tensor  # LogitLens_j(t) [C, m]
    norms: torch.Tensor  # |v_j| [m]
    bias: torch.Tensor  # b of the SAE [d]
    steps: int  # S
    path_steps: int  # points on the path of Integrated Gradients


class Block(NamedTuple):
    """n images."""

    x: torch.Tensor  # class tokens [n, d]
    values: torch.Tensor  # a [n, k], 0 is inactive
    indices: torch.Tensor  # int64 [n, k]
    sum: torch.Tensor  # aV [n, d]


def open_bench(
    tables: LatentTables, prompts: PromptTables, bias: np.ndarray, steps: int, path_steps: int
) -> Bench:
    """The bench of a decoder, prompts and the SAE's bias [d]."""
    norms = tables.decoder.norm(dim=1)
    offset = torch.as_tensor(bias).to(norms)
    return Bench(tables, prompts, logit_lens(tables, prompts), norms, offset, steps, path_steps)


def load(bench: Bench, images: Images) -> Block:
    """Images on the device of the bench, in its dtype."""
    x, values = (torch.as_tensor(a).to(bench.norms) for a in (images.x, images.values))
    indices = torch.as_tensor(images.indices, device=x.device)
    return Block(x, values, indices, reconstruct(bench.tables, values, indices))


def path_ends(bench: Bench, block: Block, error_term: str) -> tuple[Points, Points]:
    """Points of the class token without its active latents, and with them.

    frozen: x - aV and x as stored, so that the reconstruction error stays; dropped: b and aV + b.
    """
    if error_term == FROZEN:
        start, end = block.x - block.sum, block.x
    else:
        start, end = bench.bias.expand_as(block.x), block.sum + bench.bias
    return locate(bench.tables, start, block.indices), locate(bench.tables, end, block.indices)


def forms_of(bench: Bench, block: Block, ends: tuple[Points, Points]) -> tuple[Forms, ImageTerms]:
    """Forms of a block's scores, and its terms at the end with all latents."""
    return score_forms(bench.tables, ends, block.values, block.indices, bench.norms, bench.path_steps)


def reference_forms(bench: Bench, images: Images, error_term: str) -> Forms:
    """Forms of reference images."""
    block = load(bench, images)
    return forms_of(bench, block, path_ends(bench, block, error_term))[0]


def see(bench: Bench, rows: torch.Tensor, indices: torch.Tensor) -> tuple[Prompted, torch.Tensor]:
    """Prompts `rows` int64 [n, C] and their LogitLens_j(t) [n, C, k], of latents `indices` [n, k]."""
    lens = bench.lens[rows[:, :, None], indices[:, None, :]]
    return see_prompts(bench.prompts, rows, indices), lens
