"""Where in an image a latent or a prompt comes from: what is linear in the class token, as an exact sum.

    f . x = sum_l,h,t A_0t f . W_O^h W_V^h LN_1(x_t)  +  rest

x [d] the class token after a block, the sum over all blocks up to it, their heads, and the tokens that they
look at; attention and LayerNorms as they were in this pass. `rest` is what no token was looked at for: the
class token that entered, the MLPs on it, biases. A latent before its activation has f = E_j; a prompt has,
with the scale of ln_post as recorded, f = C g_post W t / (sd_post |z|), so that the sum is y itself (Eq. 4).

A token behind the first block is more than its patch: other patches have been mixed into it. So a map says
which *tokens* were read; which blocks read them is in `by_block`.
"""

from typing import NamedTuple

import torch

from reliance.base.errors import RelianceError
from reliance.encoders.model import Clip
from reliance.encoders.sites.class_token import behind
from reliance.lens.paths import last_map
from reliance.lens.record import Recording, Wanted, blocks_of, scale_of


class Maps(NamedTuple):
    """Of n images and q values, float32."""

    tokens: torch.Tensor  # [n, q, L, H, T], the class token first
    rest: torch.Tensor  # [n, q]

    def total(self) -> torch.Tensor:
        """The values [n, q]."""
        return self.tokens.sum((2, 3, 4)) + self.rest

    def patches(self) -> torch.Tensor:
        """What is read from each patch, over all blocks and heads [n, q, T - 1]."""
        return self.tokens[..., 1:].sum((2, 3))

    def by_block(self) -> torch.Tensor:
        """The same of each block [n, q, L, T - 1]."""
        return self.tokens[..., 1:].sum(3)

    def heads(self) -> torch.Tensor:
        """What each head adds, from all tokens [n, q, L, H]."""
        return self.tokens.sum(4)

    def scaled(self, scale: torch.Tensor, more: torch.Tensor) -> "Maps":
        """Values times scale [n], and `more` [n, q] on top."""
        return Maps(self.tokens * scale[:, None, None, None, None], self.rest * scale[:, None] + more)


def wanted(clip: Clip, last: int | None = None, *, all_rows: bool = False) -> Wanted:
    """What a pass must leave for maps of the class token after block `last` (None: the last)."""
    count = len(blocks_of(clip)) if last is None else last + 1
    return Wanted((), tuple(range(count)), all_rows, streams=True)


def maps_of(clip: Clip, recorded: Recording, f: torch.Tensor) -> Maps:
    """Maps of f . x [n, q] for functionals f [q, d]; x after the last block that was recorded."""
    f = f.float()
    found, rest = [], None
    for place in sorted(recorded.blocks):
        own, block = recorded.blocks[place], blocks_of(clip)[place]
        assert own.x is not None and own.normed is not None and own.mlp is not None
        d, attn = f.shape[1], block.attn
        heads = attn.num_heads
        value, bias = attn.in_proj_weight[2 * d :].float(), attn.in_proj_bias[2 * d :].float()
        out = attn.out_proj.weight.float() * scale_of(block.ls_1, d).to(f)[:, None]
        asked = (f @ out).view(len(f), heads, -1)  # [q, H, w]
        back = torch.einsum("qhw,hwd->qhd", asked, value.view(heads, -1, d))
        seen = torch.einsum("ntd,qhd->nqht", own.normed.float(), back)
        found.append(own.pattern[:, None, :, 0] * seen)
        shift = out @ bias + scale_of(block.ls_1, d).to(f) * attn.out_proj.bias.float()
        added = own.mlp[:, 0].float() @ f.T + f @ shift
        rest = added + (own.x[:, 0].float() @ f.T if rest is None else rest)
    assert rest is not None
    return Maps(torch.stack(found, 2), rest)


def prompt_maps(clip: Clip, recorded: Recording, text: torch.Tensor) -> Maps:
    """Maps of y [n, C] for unit text vectors [C, p]; of a recording of all blocks."""
    norm, proj = behind(clip)
    f = text.float() @ last_map(clip)
    scale = 1 / (recorded.sd * recorded.z.norm(dim=1))
    shift = (norm.bias.detach().float() @ proj.detach().float()) @ text.float().T
    return maps_of(clip, recorded, f).scaled(scale, shift / recorded.z.norm(dim=1, keepdim=True))


def latent_maps(clip: Clip, recorded: Recording, weight: torch.Tensor, offset: torch.Tensor) -> Maps:
    """Maps of weight x + offset [n, q]: latents before their activation function, weight [q, d]."""
    found = maps_of(clip, recorded, weight)
    return found._replace(rest=found.rest + offset.float())


def grid_of(clip: Clip, tokens: int) -> tuple[int, int]:
    """Rows and columns of patches. Raises RelianceError if they do not fill the model's grid."""
    grid = tuple(int(side) for side in clip.model.visual.grid_size)
    if grid[0] * grid[1] != tokens:
        raise RelianceError(
            f"encoders.{clip.weights.encoder}",
            "a map has a place for every patch",
            found=f"{tokens} tokens beside the class token, a grid of {grid[0]} x {grid[1]}",
            allowed="one token per patch",
            next_step="models with register tokens or patch dropout have no maps here",
        )
    return grid[0], grid[1]


def upsampled(clip: Clip, patches: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Values of patches [..., T - 1] as pictures [..., h, w], bilinear between the centres of patches."""
    grid = grid_of(clip, patches.shape[-1])
    flat = patches.reshape(-1, 1, *grid).float()
    drawn = torch.nn.functional.interpolate(flat, size, mode="bilinear", align_corners=False)
    return drawn.view(*patches.shape[:-1], *size)


def raw_attention(recorded: Recording) -> torch.Tensor:
    """Baseline: what the class token looks at in the last block, mean over heads [n, T - 1]."""
    return recorded.blocks[max(recorded.blocks)].pattern[:, :, 0, 1:].mean(1)


def rollout(recorded: Recording) -> torch.Tensor:
    """Baseline: products of (A + 1)/2 over blocks, mean over heads, row of the class token [n, T - 1]."""
    total = None
    for place in sorted(recorded.blocks):
        a = recorded.blocks[place].pattern.mean(1)
        if a.shape[1] != a.shape[2]:
            raise ValueError("attention of all tokens was not recorded")
        step = (a + torch.eye(a.shape[1], device=a.device)) / 2
        total = step if total is None else step @ total
    assert total is not None
    return total[:, 0, 1:]


def gradient_x_input(clip: Clip, images: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Baseline: pixels times the slope of f . x, of functionals f [n, d], one per image; [n, h, w].

    images : as the model takes them, float32 [n, 3, h, w].
    """
    caught: list[torch.Tensor] = []
    handle = behind(clip)[0].register_forward_pre_hook(lambda _m, a: caught.append(a[0]))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.enable_grad():
            pixels = images.detach().clone().requires_grad_(True)
            clip.model.encode_image(pixels)
            x = caught[0][:, 0] if caught[0].ndim == 3 else caught[0]
            (slope,) = torch.autograd.grad((x * f).sum(), pixels)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        handle.remove()
    found: torch.Tensor = (slope * images).sum(1)
    return found
