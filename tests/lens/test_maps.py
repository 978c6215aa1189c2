"""Maps add up to what they are maps of, and say where something is that was put there."""

import pytest
import torch

from reliance.base.errors import RelianceError
from reliance.encoders.vision import normaliser
from reliance.lens.maps import (
    gradient_x_input,
    grid_of,
    latent_maps,
    maps_of,
    prompt_maps,
    raw_attention,
    rollout,
    upsampled,
    wanted,
)
from reliance.lens.record import recording

from .made import HEADS, IMAGES, KINDS, LAYERS, PIXELS, PREPROCESS, D, P, T, made_clip

G = torch.Generator().manual_seed(1)
F = torch.randn(5, D, generator=G)
TEXT = torch.nn.functional.normalize(torch.randn(3, P, generator=G), dim=1)


def record(clip, **more):
    with recording(clip, wanted(clip, **more)) as recorder:
        return recorder.run(PIXELS)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_latents_add_up_to_what_is_before_their_activation(kind: str) -> None:
    clip = made_clip(kind)
    found, offset = record(clip), torch.arange(5.0)
    own = latent_maps(clip, found, F, offset)
    assert own.tokens.shape == (IMAGES, 5, LAYERS, HEADS, T)
    torch.testing.assert_close(own.total(), found.x @ F.T + offset, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own.by_block().sum(2), own.patches())
    torch.testing.assert_close(own.heads().sum((2, 3)) + own.rest, own.total(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_prompts_add_up_to_y(kind: str) -> None:
    clip = made_clip(kind)
    found = record(clip)
    y = torch.nn.functional.normalize(found.z, dim=1) @ TEXT.T
    assert (prompt_maps(clip, found, TEXT).total() - y).abs().max() < 1e-5


def test_an_earlier_block_has_maps_of_its_own_class_token() -> None:
    clip = made_clip()
    found = record(clip, last=1)
    behind = record(clip).blocks[2].x[:, 0]
    torch.testing.assert_close(maps_of(clip, found, F).total(), behind @ F.T, rtol=1e-4, atol=1e-4)


def test_each_part_is_one_token_through_one_head() -> None:
    clip = made_clip()
    found = record(clip)
    own = maps_of(clip, found, F)
    attn, block = clip.model.visual.transformer.resblocks[2].attn, found.blocks[2]
    rows = slice(D // HEADS, D)  # the second head
    v = attn.in_proj_weight[2 * D :][rows] @ block.normed[3, 4]
    expected = block.pattern[3, 1, 0, 4] * (F @ (attn.out_proj.weight[:, rows] @ v))
    torch.testing.assert_close(own.tokens[3, :, 2, 1, 4], expected, rtol=1e-4, atol=1e-5)


def test_baselines() -> None:
    clip = made_clip()
    found = record(clip, all_rows=True)
    assert raw_attention(found).shape == rollout(found).shape == (IMAGES, T - 1)
    assert (rollout(found).sum(1) < 1).all() and (rollout(found) > 0).all()
    with pytest.raises(ValueError, match="all tokens"):
        rollout(record(clip))
    images = normaliser(PREPROCESS)(PIXELS)
    slope = gradient_x_input(clip, images, F[[0] * IMAGES])
    step = 1e-2
    with recording(clip, wanted(clip)) as recorder:
        ends = [recorder.run_images(images * (1 + sign * step)).x @ F[0] for sign in (1, -1)]
    torch.testing.assert_close(slope.sum((1, 2)), (ends[0] - ends[1]) / (2 * step), rtol=0.05, atol=0.02)


def test_patches_lie_where_they_are_in_the_picture() -> None:
    clip = made_clip()
    patches = torch.zeros(2, T - 1)
    patches[0, 2] = patches[1, 6] = 1.0  # right above, left below
    drawn = upsampled(clip, patches, (24, 24))
    above, below = (divmod(int(one.argmax()), 24) for one in drawn)
    assert above[0] < 8 and above[1] >= 16
    assert below[0] >= 16 and below[1] < 8
    with pytest.raises(RelianceError, match="place for every patch"):
        grid_of(clip, T)
