"""The recorded pass: its parts add up (T2), nothing stays behind, a wrong activation is refused (T9)."""

import pytest
import torch

from reliance.base.errors import RelianceError
from reliance.encoders.vision import normaliser
from reliance.lens.decompose import first_order, second_order
from reliance.lens.record import Recording, Wanted, recording

from .made import HEADS, IMAGES, KINDS, LAYERS, NEURONS, PIXELS, PREPROCESS, D, T, made_clip

ALL = Wanted(tuple(range(LAYERS)), tuple(range(LAYERS)), streams=True)


def recorded(clip, wanted: Wanted = ALL, precision: str = "fp32") -> Recording:
    with recording(clip, wanted, precision) as recorder:
        return recorder.run(PIXELS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_models_own_pass(kind: str) -> None:
    clip = made_clip(kind)
    found = recorded(clip)
    expected = clip.model.encode_image(normaliser(PREPROCESS)(PIXELS))
    torch.testing.assert_close(found.z, expected, rtol=1e-5, atol=1e-6)
    assert found.neurons[1].shape == (IMAGES, T, NEURONS) and found.x.shape == (IMAGES, D)
    assert found.blocks[0].pattern.shape == (IMAGES, HEADS, 1, T)


def test_attention_is_that_of_the_model_itself() -> None:
    clip = made_clip()
    found = recorded(clip, ALL._replace(all_rows=True))
    alone = recorded(clip)
    for place, block in enumerate(clip.model.visual.transformer.resblocks):
        u = found.blocks[place].normed
        expected = block.attn(u, u, u, need_weights=True, average_attn_weights=False)[1]
        torch.testing.assert_close(found.blocks[place].pattern, expected, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(alone.blocks[place].pattern, expected[:, :, :1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_all_paths_add_up_to_the_output(kind: str) -> None:
    clip = made_clip(kind)
    found = recorded(clip)
    parts = first_order(clip, found)
    unit = torch.nn.functional.normalize(found.z, dim=1)
    assert (parts.total() - unit).abs().max() < 1e-5
    heads = parts.heads.sum(3)
    assert (second_order(clip, found).total() - heads).abs().max() < 1e-5
    assert heads.abs().max() > 0.05


def test_in_bf16_the_parts_add_up_as_far_as_it_goes() -> None:
    clip = made_clip()
    found, exact = recorded(clip, precision="bf16"), recorded(clip)
    unit = torch.nn.functional.normalize(found.z, dim=1)
    assert (first_order(clip, found).total() - unit).abs().max() < 0.05
    assert (found.z - exact.z).norm() / exact.z.norm() < 0.05
    assert clip.model.visual.conv1.weight.dtype == torch.float32


def test_hooks_are_gone_whatever_happens() -> None:
    clip = made_clip()

    def left() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in clip.model.modules())

    with pytest.raises(ValueError, match="outside"), recording(clip, ALL):
        assert left() > 0
        raise ValueError("outside")
    assert left() == 0
    with pytest.raises(RuntimeError), recording(clip, ALL) as recorder:
        recorder.run(PIXELS[:, :2])
    assert left() == 0


@pytest.mark.parametrize("quick", [False, True])
def test_another_activation_function_than_recorded_is_refused(quick: bool) -> None:
    recorded(made_clip(quick_gelu=quick))
    with pytest.raises(RelianceError, match="activation function"):
        recorded(made_clip(quick_gelu=quick, said=not quick))


def test_blocks_of_another_form_are_refused() -> None:
    with pytest.raises(RelianceError, match="usual residual block"):
        recorded(made_clip("custom"))
