"""An image embedding as the sum of everything that wrote it (T2).

    sd_post z = M_0 e_0 + sum_l [ sum_h,t A_0t W_O^h W_V^h LN_1(x_t) ] + sum_l MLP_l + biases, through ln_post

e_0 the class token that enters the first block. It is exact as long as attention and the scales of LayerNorm
are taken as recorded; the second order writes every x_t of that sum as what was added to token t before.
"""

from typing import Any, NamedTuple

import torch

from reliance.encoders.model import Clip
from reliance.encoders.sites.class_token import behind
from reliance.lens.paths import last_map, routes
from reliance.lens.record import Recording, blocks_of, scale_of


class FirstOrder(NamedTuple):
    """Parts of z / |z|, float32; they add up to it."""

    start: torch.Tensor  # the class token that enters the first block [n, p]
    heads: torch.Tensor  # of every block, head and token it looks at [n, L, H, T, p]
    attention_bias: torch.Tensor  # of values and outputs [n, L, p]
    mlps: torch.Tensor  # [n, L, p]
    norm_bias: torch.Tensor  # of ln_post [n, p]

    def total(self) -> torch.Tensor:
        """z / |z| [n, p]."""
        parts = (self.heads.sum((1, 2, 3)), self.attention_bias.sum(1), self.mlps.sum(1))
        total: torch.Tensor = self.start + sum(parts) + self.norm_bias
        return total


class SecondOrder(NamedTuple):
    """The part of the heads, by what wrote the tokens they look at [n, L, H, p] each."""

    start: torch.Tensor  # what enters the first block
    attention: torch.Tensor  # what attention of blocks before wrote
    mlps: torch.Tensor  # what MLPs of blocks before wrote
    norm_bias: torch.Tensor  # of ln_1

    def total(self) -> torch.Tensor:
        """The sum over what wrote them [n, L, H, p]."""
        return self.start + self.attention + self.mlps + self.norm_bias


def scale_to_unit(recorded: Recording) -> torch.Tensor:
    """1 / (sd_post |z|) [n]."""
    scale: torch.Tensor = 1 / (recorded.sd * recorded.z.norm(dim=1))
    return scale


def first_order(clip: Clip, recorded: Recording) -> FirstOrder:
    """Every direct part, of a recording of all blocks with their streams."""
    after, (norm, proj) = last_map(clip), behind(clip)
    scale = scale_to_unit(recorded)
    heads, biases, mlps = [], [], []
    for place, block in enumerate(blocks_of(clip)):
        own = recorded.blocks[place]
        assert own.normed is not None and own.mlp is not None
        d = after.shape[1]
        attn, gamma = block.attn, scale_of(block.ls_1, d).to(after)
        v = torch.einsum("ntd,hwd->nhtw", own.normed.float(), _values(block))
        out = (attn.out_proj.weight.float() * gamma[:, None]).view(d, attn.num_heads, -1)
        seen = torch.einsum("nhtw,pd,dhw->nhtp", own.pattern[:, :, 0, :, None] * v, after, out)
        bias = attn.out_proj.weight.float() @ attn.in_proj_bias[2 * d :].float() + attn.out_proj.bias.float()
        heads.append(seen * scale[:, None, None, None])
        biases.append((after @ (gamma * bias)) * scale[:, None])
        mlps.append(own.mlp[:, 0].float() @ after.T * scale[:, None])
    first = recorded.blocks[0].x
    assert first is not None
    start = first[:, 0].float() @ after.T * scale[:, None]
    shift = (norm.bias.detach().float() @ proj.detach().float()) / recorded.z.norm(dim=1, keepdim=True)
    stacked = [torch.stack(part, 1) for part in (heads, biases, mlps)]
    return FirstOrder(start, stacked[0], stacked[1], stacked[2], shift)


def second_order(clip: Clip, recorded: Recording) -> SecondOrder:
    """The heads' part again, by what had written the tokens; of the same recording."""
    scale, parts = scale_to_unit(recorded), []
    first = recorded.blocks[0].x
    assert first is not None
    start, written = first.float(), torch.zeros_like(first.float())
    by_mlp = written.clone()
    for route, block in zip(routes(clip, 0), blocks_of(clip), strict=True):
        own = recorded.blocks[route.block]
        assert own.attention is not None and own.mlp is not None
        weight = own.pattern[:, :, 0] * (scale[:, None] / own.sd)[:, None]  # [n, H, T]
        plain = own.pattern[:, :, 0] * scale[:, None, None]
        shift = torch.einsum("hwd,d->hw", _values(block), block.ln_1.bias.float())
        seen = [torch.einsum("nht,ntd,hwd->nhw", weight, u, route.right) for u in (start, written, by_mlp)]
        found = [_heads(route.left, inner) for inner in [*seen, plain.sum(-1, keepdim=True) * shift]]
        parts.append(found)
        written, by_mlp = written + own.attention.float(), by_mlp + own.mlp.float()
    return SecondOrder(*(torch.stack(list(part), 1) for part in zip(*parts, strict=True)))


def _values(block: Any) -> torch.Tensor:
    """W_V^h [H, w, d]."""
    d, attn = block.attn.embed_dim, block.attn
    values: torch.Tensor = attn.in_proj_weight[2 * d :].float().view(attn.num_heads, -1, d)
    return values


def _heads(left: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nhw,hpw->nhp", inner, left)
