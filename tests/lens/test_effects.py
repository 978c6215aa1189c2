"""Effects of neurons against slow referees: frozen paths (T1), conventions (T3), real ablation."""

from typing import Any

import pytest
import torch

from reliance.encoders.model import Clip
from reliance.encoders.vision import normaliser
from reliance.lens.effects import at_means, coefficients, common, direct, indirect
from reliance.lens.paths import neuron_paths
from reliance.lens.record import Recording, Wanted, recording, scale_of

from .made import IMAGES, KINDS, LAYERS, NEURONS, PIXELS, PREPROCESS, D, T, made_clip

EVERYTHING = Wanted(tuple(range(LAYERS)), tuple(range(LAYERS)), streams=True)
BLOCK = 1


def record(clip: Clip) -> Recording:
    with recording(clip, EVERYTHING) as recorder:
        return recorder.run(PIXELS)


def frozen_path(clip: Clip, found: Recording, written: torch.Tensor) -> torch.Tensor:
    """What `written` [n, T, d] behind a block adds to z/|z| through later heads, term by term in float64."""
    visual: Any = clip.model.visual
    z = found.z.double()
    total = torch.zeros_like(z)
    for place in range(BLOCK + 1, LAYERS):
        block, own = visual.transformer.resblocks[place], found.blocks[place]
        u = written - written.mean(-1, keepdim=True)
        u = u / own.sd.double()[..., None] * block.ln_1.weight.double()
        for head in range(block.attn.num_heads):
            rows = slice(head * D // block.attn.num_heads, (head + 1) * D // block.attn.num_heads)
            v = u @ block.attn.in_proj_weight.double()[2 * D :][rows].T
            mixed = (own.pattern[:, head, 0].double()[..., None] * v).sum(1)
            out = mixed @ block.attn.out_proj.weight.double()[:, rows].T
            out = out * scale_of(block.ls_1, D).double()
            out = (out - out.mean(-1, keepdim=True)) / found.sd.double()[:, None]
            total += out * visual.ln_post.weight.double() @ visual.proj.double()
    return total / z.norm(dim=1, keepdim=True)


def written_by(clip: Clip, found: Recording, neuron: int) -> torch.Tensor:
    block: Any = clip.model.visual.transformer.resblocks[BLOCK]
    column = block.mlp.c_proj.weight.double()[:, neuron] * scale_of(block.ls_2, D).double()
    return found.neurons[BLOCK].double()[..., neuron, None] * column


@pytest.mark.parametrize("kind", KINDS)
def test_rank_k_form_is_the_frozen_path(kind: str) -> None:
    clip = made_clip(kind)
    found = record(clip)
    phi = torch.einsum("nmk,mkp->nmp", coefficients(found, BLOCK), neuron_paths(clip, BLOCK))
    for neuron in (0, 7, NEURONS - 1):
        expected = frozen_path(clip, found, written_by(clip, found, neuron))
        assert (phi[:, neuron] - expected).abs().max() < 1e-6
    assert phi.norm(dim=2).max() > 1e-3


def published(clip: Clip, found: Recording, neuron: int) -> torch.Tensor:
    """The formula of the public code as LENS.md B1.2 has it, for one neuron, in float64."""
    visual: Any = clip.model.visual
    first: Any = visual.transformer.resblocks[BLOCK]
    share = first.mlp.c_proj.bias.double() * scale_of(first.ls_2, D).double() / NEURONS
    total = torch.zeros_like(found.z.double())
    w, b, proj = visual.ln_post.weight.double(), visual.ln_post.bias.double(), visual.proj.double()
    for place in range(BLOCK + 1, LAYERS):
        block, own = visual.transformer.resblocks[place], found.blocks[place]
        parts, heads = (1 + 2 * place) * NEURONS, block.attn.num_heads
        u = written_by(clip, found, neuron) + share
        u = (u - own.mean.double()[..., None] / parts) / own.sd.double()[..., None]
        u = u * block.ln_1.weight.double() + block.ln_1.bias.double() / parts
        for head in range(heads):
            rows = slice(head * D // heads, (head + 1) * D // heads)
            v = u @ block.attn.in_proj_weight.double()[2 * D :][rows].T
            out = (own.pattern[:, head, 0].double()[..., None] * v).sum(1)
            out = out @ block.attn.out_proj.weight.double()[:, rows].T * scale_of(block.ls_1, D).double()
            shares = parts * (1 + 2 * LAYERS) * heads
            out = (out - found.mean.double()[:, None] / shares) / found.sd.double()[:, None] * w + b / shares
            total += out @ proj
    return total / found.z.double().norm(dim=1, keepdim=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shared_convention_is_the_public_codes(kind: str) -> None:
    clip = made_clip(kind)
    found = record(clip)
    phi = torch.einsum("nmk,mkp->nmp", coefficients(found, BLOCK), neuron_paths(clip, BLOCK, "shared"))
    phi = phi + common(clip, found, BLOCK)[:, None] / NEURONS
    for neuron in (2, 90):
        assert (phi[:, neuron] - published(clip, found, neuron)).abs().max() < 1e-5


def test_the_two_conventions_differ_in_what_lies_along_the_mean_alone() -> None:
    """T3: over all neurons, the exact form is the path of all of them at once."""
    clip = made_clip()
    found = record(clip)
    c = coefficients(found, BLOCK)
    exact = torch.einsum("nmk,mkp->np", c, neuron_paths(clip, BLOCK))
    mlp = found.blocks[BLOCK].mlp.double() - clip.model.visual.transformer.resblocks[BLOCK].mlp.c_proj.bias
    assert (exact - frozen_path(clip, found, mlp)).abs().max() < 1e-5
    shared = torch.einsum("nmk,mkp->nmp", c, neuron_paths(clip, BLOCK, "shared"))
    rest = shared - torch.einsum("nmk,mkp->nmp", c, neuron_paths(clip, BLOCK))
    assert 0 < rest.norm() / shared.norm() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_direct_effects_are_what_the_class_token_is_given(kind: str) -> None:
    clip = made_clip(kind)
    found = record(clip)
    c, u = direct(clip, found, BLOCK)
    visual: Any = clip.model.visual
    out = written_by(clip, found, 5)[:, 0]
    out = (out - out.mean(-1, keepdim=True)) / found.sd.double()[:, None] * visual.ln_post.weight.double()
    expected = out @ visual.proj.double() / found.z.double().norm(dim=1, keepdim=True)
    assert (c[:, 5, None] * u[5] - expected).abs().max() < 1e-6


def test_indirect_effects_are_those_of_real_ablation() -> None:
    clip = made_clip("scaled")
    images = normaliser(PREPROCESS)(PIXELS)
    means = record(clip).neurons[BLOCK].mean(0)
    found = indirect(clip, images, BLOCK, means, [4, 60])
    unit = torch.nn.functional.normalize(clip.model.encode_image(images), dim=1)
    for place, neuron in enumerate((4, 60)):
        with at_means(clip, BLOCK, means, [neuron]):
            without = torch.nn.functional.normalize(clip.model.encode_image(images), dim=1)
        torch.testing.assert_close(found[:, place], unit - without, rtol=1e-3, atol=1e-6)
    assert found.shape == (IMAGES, 2, 12) and means.shape == (T, NEURONS)
