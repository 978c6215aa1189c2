"""What each attention head writes into the class token, and the model with some heads at their means.

o_lh [d] = sum_t A_0t W_O^h W_V^h LN_1(x_t); biases belong to no head. A head is ablated at
every token: what it writes there is replaced by its mean over images at the same token.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from reliance.encoders.model import Clip
from reliance.lens.record import Recording, attention_of, blocks_of, scale_of

Head = tuple[int, int]  # block, head


def written(block: Any, normed: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """What the heads of a block write float32 [n, H, Q, d], of ln_1(x) [n, T, d] and A [n, H, Q, T]."""
    attn, u = block.attn, normed.float()
    n, tokens, d = u.shape
    heads = attn.num_heads
    v = (u @ attn.in_proj_weight[2 * d :].float().T).view(n, tokens, heads, -1).transpose(1, 2)
    out = attn.out_proj.weight.float().view(d, heads, -1)
    found: torch.Tensor = torch.einsum("nhqw,dhw->nhqd", pattern @ v, out)
    return found


def class_token_heads(clip: Clip, recorded: Recording) -> torch.Tensor:
    """o float32 [n, L, H, d] of all recorded blocks, LayerScale included."""
    found = []
    for place in sorted(recorded.blocks):
        own, block = recorded.blocks[place], blocks_of(clip)[place]
        assert own.normed is not None
        o = written(block, own.normed, own.pattern[:, :, :1])[:, :, 0]
        found.append(o * scale_of(block.ls_1, o.shape[-1]).to(o))
    return torch.stack(found, 1)


def head_means(clip: Clip, batches: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
    """Mean over images of what heads write at each token, float32 [H, T, d] by block.

    batches : images as the model takes them, float32 [n, 3, h, w].
    """
    blocks = blocks_of(clip)
    sums: dict[int, torch.Tensor] = {}

    def add(place: int) -> Any:
        def seen(_module: object, _arguments: object, normed: torch.Tensor) -> None:
            o = written(blocks[place], normed, attention_of(blocks[place], normed, all_rows=True)).sum(0)
            sums[place] = o if place not in sums else sums[place] + o

        return seen

    with ExitStack() as stack, torch.inference_mode():
        for place, block in enumerate(blocks):
            stack.callback(block.ln_1.register_forward_hook(add(place)).remove)
        for images in batches:
            clip.model.encode_image(images)
    count = sum(len(images) for images in batches)
    return {place: total / count for place, total in sums.items()}


@contextmanager
def heads_at_means(clip: Clip, heads: Sequence[Head], means: Mapping[int, torch.Tensor]) -> Iterator[None]:
    """While open, what `heads` write is its mean at every token: `head_means` of some images."""
    blocks = blocks_of(clip)
    chosen: dict[int, list[int]] = {}
    for place, head in heads:
        chosen.setdefault(place, []).append(head)
    normed: dict[int, torch.Tensor] = {}

    def keep(place: int) -> Any:
        return lambda _m, _a, out: normed.update({place: out})

    def change(place: int) -> Any:
        def changed(_module: object, _arguments: object, out: Any) -> Any:
            u = normed[place]
            o = written(blocks[place], u, attention_of(blocks[place], u, all_rows=True))
            moved = (means[place][None, chosen[place]] - o[:, chosen[place]]).sum(1)
            return (out[0] + moved.to(out[0]), *out[1:])

        return changed

    with ExitStack() as stack:
        for place in chosen:
            stack.callback(blocks[place].ln_1.register_forward_hook(keep(place)).remove)
            stack.callback(blocks[place].attn.register_forward_hook(change(place)).remove)
        yield
