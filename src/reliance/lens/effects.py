"""What one neuron does to the image embedding: through later attention, directly, and in a forward pass.

second order (B1.3)  phi_n(I) = sum_k c_nk(I) U_nk,  c_nk = sum_t A^k_0t p_n(t) / sd_l'(t) / (sd_post |z|)
first order          p_n(0) / (sd_post |z|) . proj' g_post C w_n: what it writes into the class token itself
indirect             z/|z| minus the same with p_n at its mean over images, everything behind it run again

All are parts of the unit embedding z/|z| (the public code has 100 times that). In the `shared` convention
phi_n has one more summand q(I)/N, the same for all neurons: their share of c_proj's bias, of LayerNorms'
means and of their biases (B1.2).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from reliance.encoders.model import Clip
from reliance.encoders.sites.class_token import behind
from reliance.lens.decompose import scale_to_unit
from reliance.lens.paths import SHARED, last_map, routes, writes
from reliance.lens.record import Recording, Wanted, blocks_of, scale_of

_PATTERNS = 1 << 24  # elements of changed activations held at a time


def wanted(clip: Clip, block: int) -> Wanted:
    """What a pass must leave for second-order effects of a block's neurons."""
    return Wanted((block,), tuple(range(block + 1, len(blocks_of(clip)))))


def coefficients(recorded: Recording, block: int, *, unit: bool = True) -> torch.Tensor:
    """c float32 [n, N, K] of the neurons of a block; without `unit` of what reaches x, not z/|z|."""
    later = [place for place in recorded.blocks if place > block]
    own = [recorded.blocks[place] for place in sorted(later)]
    weight = torch.cat([a.pattern[:, :, 0] / a.sd[:, None] for a in own], 1)  # [n, K, T]
    weight = weight * scale_to_unit(recorded)[:, None, None] if unit else weight
    p = recorded.neurons[block]
    return (weight @ p.to(weight.dtype)).transpose(1, 2)


def common(clip: Clip, recorded: Recording, block: int) -> torch.Tensor:
    """q(I) float32 [n, p] of the `shared` convention: N times what every neuron gets of it."""
    (norm, proj), blocks = behind(clip), blocks_of(clip)
    proj = proj.detach().float()
    mlp = blocks[block]
    shared = mlp.mlp.c_proj.bias.detach().float() * scale_of(mlp.ls_2, proj.shape[0]).to(proj)
    length, total = recorded.z.norm(dim=1), torch.zeros_like(recorded.z)
    for route in routes(clip, block + 1, SHARED):
        own, ln = recorded.blocks[route.block], blocks[route.block].ln_1
        terms, heads = 1 + 2 * route.block, route.left.shape[0]
        value = blocks[route.block].attn.in_proj_weight.detach().float()[2 * proj.shape[0] :]
        shift = (value @ (ln.bias.detach().float() / terms)).view(heads, -1)
        seen = own.pattern[:, :, 0]  # [n, H, T]
        u = shared[None, None] - own.mean[..., None] / terms  # [n, T, d]
        inner = torch.einsum("nht,ntd,hwd->nhw", seen / own.sd[:, None], u, route.right)
        inner = inner + seen.sum(-1, keepdim=True) * shift
        found = torch.einsum("nhw,hpw->np", inner, route.left)
        parts = terms * (1 + 2 * len(blocks))
        level = (recorded.mean / parts)[:, None] * last_map(clip, SHARED).sum(1)
        total += (found - level) / recorded.sd[:, None] + norm.bias.detach().float() @ proj / parts
    shares: torch.Tensor = total / length[:, None]
    return shares


def direct(clip: Clip, recorded: Recording, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(c [n, N], U [N, p]): first-order effects are c_n U_n."""
    p = recorded.neurons[block][:, 0].float()
    return p * scale_to_unit(recorded)[:, None], writes(clip, block) @ last_map(clip).T


@contextmanager
def at_means(clip: Clip, block: int, means: torch.Tensor, neurons: Sequence[int] | None) -> Iterator[None]:
    """While open, activations of `neurons` of a block (None: all) are `means` [T, N], at every token."""
    chosen = slice(None) if neurons is None else torch.as_tensor(list(neurons), device=means.device)

    def change(_module: object, _arguments: object, p: torch.Tensor) -> torch.Tensor:
        p = p.clone()
        p[:, :, chosen] = means[:, chosen].to(p)
        return p

    handle = blocks_of(clip)[block].mlp.gelu.register_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()


def indirect(
    clip: Clip, images: torch.Tensor, block: int, means: torch.Tensor, neurons: Sequence[int]
) -> torch.Tensor:
    """Change of z/|z| float32 [n, len(neurons), p] when each neuron alone is at its mean [T, N].

    images : as the model takes them, float32 [n, 3, h, w]. The blocks before run once, those behind once for
    every neuron.
    """
    blocks, tower = blocks_of(clip), clip.model.visual
    norm, proj = behind(clip)
    with torch.inference_mode():
        tokens = tower._embeds(images)
        for other in blocks[:block]:
            tokens = other(tokens)
        own = blocks[block]
        tokens = tokens + own.ls_1(own.attention(own.ln_1(tokens)))
        p = own.mlp.gelu(own.mlp.c_fc(own.ln_2(tokens)))
        whole = tokens + own.ls_2(own.mlp.c_proj(p))
        w = writes(clip, block)
        found = []
        step = max(1, _PATTERNS // whole.numel())
        for chosen in torch.split(torch.as_tensor(list(neurons), device=whole.device), step):
            change = (means[:, chosen] - p[:, :, chosen]).permute(2, 0, 1)  # [c, n, T]
            moved = (whole[None] + change[..., None] * w[chosen][:, None, None]).flatten(0, 1)
            for other in blocks[block + 1 :]:
                moved = other(moved)
            found.append(_unit(norm(moved[:, 0]) @ proj).view(len(chosen), len(images), -1))
        for other in blocks[block + 1 :]:
            whole = other(whole)
        return _unit(norm(whole[:, 0]) @ proj)[:, None] - torch.cat(found).transpose(0, 1)


def _unit(z: torch.Tensor) -> torch.Tensor:
    unit: torch.Tensor = z / z.norm(dim=-1, keepdim=True)
    return unit
