"""Which heads and neurons write a latent: sums that are known, and words that span what was planted."""

import numpy as np
import pandas as pd
import torch

from reliance.lens.bridge import means_of, text_span
from reliance.lens.cases import repaired
from reliance.lens.effects import coefficients
from reliance.lens.paths import neuron_paths
from reliance.lens.record import Wanted, recording
from reliance.lens.words import dictionary

from .made import HEADS, LAYERS, NEURONS, PIXELS, D, made_clip

BLOCK = 1


def test_what_heads_add_and_the_rest_is_the_latent() -> None:
    """Heads, MLPs on the class token and what entered: their means add up to that of E . x."""
    clip = made_clip()
    with recording(clip, Wanted((BLOCK,), tuple(range(LAYERS)), streams=True)) as recorder:
        found = recorder.run(PIXELS)
    e = torch.randn(D, generator=torch.Generator().manual_seed(2))
    own = means_of(clip, found, [BLOCK])
    assert own.heads.shape == (LAYERS, HEADS, D) and own.through[BLOCK].shape[0] == NEURONS
    rest = found.blocks[0].x[:, 0].mean(0)
    for place, block in enumerate(clip.model.visual.transformer.resblocks):
        bias = block.attn.out_proj.weight @ block.attn.in_proj_bias[2 * D :] + block.attn.out_proj.bias
        rest = rest + found.blocks[place].mlp[:, 0].mean(0) + bias
    torch.testing.assert_close((own.heads.sum((0, 1)) + rest) @ e, own.x @ e, rtol=1e-4, atol=1e-3)


def test_neurons_reach_a_latent_as_they_reach_the_output() -> None:
    """Seen through proj' g_post C instead of E, the way to x is the way to z, times sd_post |z|."""
    from reliance.lens.paths import last_map

    clip = made_clip()
    with recording(clip, Wanted((BLOCK,), tuple(range(BLOCK + 1, LAYERS)))) as recorder:
        found = recorder.run(PIXELS)
    ways = neuron_paths(clip, BLOCK, after=last_map(clip))
    scale = (found.sd * found.z.norm(dim=1))[:, None, None]
    torch.testing.assert_close(
        coefficients(found, BLOCK, unit=False), coefficients(found, BLOCK) * scale, rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(ways, neuron_paths(clip, BLOCK))


def test_words_of_a_head_span_what_was_planted() -> None:
    rng = np.random.default_rng(0)
    atoms = dictionary(rng.normal(size=(50, 16)).astype(np.float32))
    outputs = rng.normal(size=(300, 2)) * [3, 1] @ atoms[[7, 31]]
    taken, explained = text_span(outputs, atoms, 2)
    assert taken[0] == 7 and explained > 0.95
    assert text_span(np.zeros((5, 16)), atoms, 3) == ([], 0.0)


def test_repaired_is_a_share_of_what_was_wrong() -> None:
    rows = [
        ("a", "typography", "nothing", 0.6, 0.9),
        ("a", "typography", "heads", 0.8, 0.85),
        ("b", "typography", "nothing", 0.995, 0.9),
        ("b", "typography", "heads", 0.9, 0.9),
    ]
    cases = pd.DataFrame(rows, columns=["failure_id", "kind", "ablated", "auc", "accuracy"])
    found = repaired(cases).set_index("ablated")
    assert np.isclose(found.loc["heads", "repaired"], 0.5)
    assert np.isclose(found.loc["heads", "lost"], 0.025) and found.loc["heads", "cases"] == 2
