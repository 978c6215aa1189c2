"""The linear way from a token inside an encoder to the image embedding, through one later attention head.

With attention A and the scales of all LayerNorms as they were recorded, what is added to token t in front of
block l' reaches the unit embedding z/|z| through head h as

    A_0t / sd_l'(t) / (sd_post |z|) . M_l'h u,    M = proj' g_post C gamma W_O^h W_V^h g_1 C  (B1.2, B1.3)

u [d] what is added, C = 1 - 11'/d the centring of a LayerNorm, gamma the block's LayerScale. M has the rank
of a head and is kept as two factors. `shared` is the convention of the public code (B1.4): u is not centred,
the mean of each LayerNorm is divided among all that was added instead.
"""

from typing import Any, NamedTuple

import torch

from reliance.encoders.model import Clip
from reliance.encoders.sites.class_token import behind
from reliance.lens.record import blocks_of, scale_of

EXACT, SHARED = "exact", "shared"


class Route(NamedTuple):
    """The heads of one block, in float32."""

    block: int
    left: torch.Tensor  # proj' g_post C gamma W_O^h [H, p, w]
    right: torch.Tensor  # W_V^h g_1 C [H, w, d]

    def through(self, u: torch.Tensor) -> torch.Tensor:
        """M_h u of vectors u [..., d]: [..., H, p]."""
        inner = torch.einsum("...d,hwd->...hw", u, self.right)
        found: torch.Tensor = torch.einsum("...hw,hpw->...hp", inner, self.left)
        return found


def centred(matrix: torch.Tensor) -> torch.Tensor:
    """matrix C: its rows without their means."""
    return matrix - matrix.mean(-1, keepdim=True)


def last_map(clip: Clip, ln_mean: str = EXACT) -> torch.Tensor:
    """proj' g_post C [p, d]: from what is added to the class token behind the last block to sd_post z."""
    norm, proj = behind(clip)
    rows = (proj.detach().float() * norm.weight.detach().float()[:, None]).T
    return centred(rows) if ln_mean == EXACT else rows


def routes(clip: Clip, first: int, ln_mean: str = EXACT, after: torch.Tensor | None = None) -> list[Route]:
    """The heads of the blocks from `first` on.

    after : what x behind the last block is seen through [p, d]; None: `last_map`, the way to z.
    """
    after, found = last_map(clip, ln_mean) if after is None else after, []
    for place, block in enumerate(blocks_of(clip)):
        if place < first:
            continue
        d, heads = after.shape[1], block.attn.num_heads
        gamma = scale_of(block.ls_1, d).to(after)
        out = block.attn.out_proj.weight.detach().float() * gamma[:, None]
        value = block.attn.in_proj_weight.detach().float()[2 * d :] * block.ln_1.weight.detach().float()
        left = torch.einsum("pd,dhw->hpw", after, out.view(d, heads, d // heads))
        right = centred(value) if ln_mean == EXACT else value
        found.append(Route(place, left.contiguous(), right.view(heads, d // heads, d)))
    return found


def writes(clip: Clip, block: int) -> torch.Tensor:
    """w_n [N, d]: what one unit of a neuron's activation adds to its token."""
    mlp: Any = blocks_of(clip)[block]
    weight = mlp.mlp.c_proj.weight.detach().float()
    rows: torch.Tensor = weight * scale_of(mlp.ls_2, len(weight)).to(weight)[:, None]
    return rows.T.contiguous()


def neuron_paths(
    clip: Clip, block: int, ln_mean: str = EXACT, after: torch.Tensor | None = None
) -> torch.Tensor:
    """U float32 [N, K, p] of the neurons of a block, K = (later blocks) H in their order.

    after : as in `routes`.
    """
    w = writes(clip, block)
    return torch.cat([route.through(w) for route in routes(clip, block + 1, ln_mean, after)], dim=1)
