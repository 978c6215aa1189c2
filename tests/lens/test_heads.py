"""What heads write adds up to the attention's output; ablation of heads is that of their values."""

import pytest
import torch

from reliance.encoders.vision import normaliser
from reliance.lens.heads import class_token_heads, head_means, heads_at_means
from reliance.lens.maps import maps_of, wanted
from reliance.lens.record import recording

from .made import HEADS, IMAGES, KINDS, LAYERS, PIXELS, PREPROCESS, D, T, made_clip


def images() -> torch.Tensor:
    return normaliser(PREPROCESS)(PIXELS)


@pytest.mark.parametrize("kind", KINDS)
def test_heads_of_the_class_token_are_those_of_the_maps(kind: str) -> None:
    clip = made_clip(kind)
    with recording(clip, wanted(clip)) as recorder:
        found = recorder.run(PIXELS)
    f = torch.randn(3, D, generator=torch.Generator().manual_seed(0))
    o = class_token_heads(clip, found)
    assert o.shape == (IMAGES, LAYERS, HEADS, D)
    expected = maps_of(clip, found, f).heads()
    torch.testing.assert_close(torch.einsum("nlhd,qd->nqlh", o, f), expected, rtol=1e-3, atol=1e-4)


def test_all_heads_of_a_block_at_their_means_leave_its_mean_output() -> None:
    clip = made_clip("scaled")
    means = head_means(clip, [images()[:2], images()[2:]])
    assert means[1].shape == (HEADS, T, D)
    caught: list[torch.Tensor] = []
    attn = clip.model.visual.transformer.resblocks[1].attn
    handle = attn.register_forward_hook(lambda _m, _a, out: caught.append(out[0]))
    clip.model.encode_image(images())
    handle.remove()
    mean = caught.pop().mean(0)
    with heads_at_means(clip, [(1, head) for head in range(HEADS)], means):
        handle = attn.register_forward_hook(lambda _m, _a, out: caught.append(out[0]))
        changed = clip.model.encode_image(images())
        handle.remove()
    torch.testing.assert_close(caught[0], mean.expand_as(caught[0]), rtol=1e-3, atol=1e-4)
    assert (changed - clip.model.encode_image(images())).abs().max() > 1e-3


def test_one_head_is_that_of_its_values_at_their_means() -> None:
    """A head whose attention is all alike: what it writes is the mean of its values, so its mean is known."""
    clip = made_clip()
    attn = clip.model.visual.transformer.resblocks[2].attn
    attn.in_proj_weight[: 2 * D] = 0
    attn.in_proj_bias[: 2 * D] = 0
    means = head_means(clip, [images()])
    with recording(clip, wanted(clip)) as recorder:
        u = recorder.run(PIXELS).blocks[2].normed
    rows = slice(0, D // HEADS)
    v = u.mean(1) @ attn.in_proj_weight[2 * D :][rows].T
    expected = (v @ attn.out_proj.weight[:, rows].T).mean(0)
    torch.testing.assert_close(means[2][0], expected.expand(T, D), rtol=1e-3, atol=1e-5)


def test_nothing_stays_behind() -> None:
    clip = made_clip()
    before = clip.model.encode_image(images())
    means = head_means(clip, [images()])
    with pytest.raises(ValueError, match="inside"), heads_at_means(clip, [(0, 0)], means):
        raise ValueError("inside")
    torch.testing.assert_close(clip.model.encode_image(images()), before)
    with heads_at_means(clip, [], means):
        torch.testing.assert_close(clip.model.encode_image(images()), before)
