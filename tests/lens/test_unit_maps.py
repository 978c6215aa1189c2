"""Maps of units at every site that has them: parts of the unit, or its activations on the patches."""

from typing import Any

import numpy as np
import pytest
import torch

from reliance.base.errors import RelianceError
from reliance.encoders.sites.block import tokens_behind
from reliance.encoders.vision import normaliser
from reliance.lens.unit_maps import MAPPED, unit_maps, unmapped
from reliance.plan.mapped import MAPPED as PLANNED
from reliance.tails.patches import applied
from reliance.units.sae.files import Sae
from reliance.units.sae.pooled import pooled

from .made import LAYERS, PIXELS, D, T, made_clip

M, K = 20, 4
UNITS = np.array([7, 0, 3])


def made_sae(norm: Any = None) -> Sae:
    g = np.random.default_rng(0)
    rows = g.normal(size=(M, D)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    e, b = (g.normal(size=n).astype(np.float32) for n in (M, D))
    return Sae(rows, e, rows, b, K, input_norm=norm)


def tokens_after(clip: Any, block: int) -> torch.Tensor:
    caught: list[torch.Tensor] = []
    with torch.inference_mode(), tokens_behind(clip, block, lambda tokens: tokens, caught):
        clip.model.encode_image(normaliser(clip.weights.preprocess)(PIXELS[:1]))
    return caught[0][0]


@pytest.mark.parametrize("block", [-2, 0, 1])
def test_behind_a_block_a_map_is_a_part_of_the_unit_there(block: int) -> None:
    clip, sae = made_clip(), made_sae()
    found = unit_maps(clip, sae, f"block{block}", PIXELS[:1], UNITS)
    x = tokens_after(clip, block)[0].numpy()
    before = sae.encoder_weight[UNITS] @ (x - sae.bias) + sae.encoder_bias[UNITS]
    assert found.patches.shape == (3, T - 1)
    np.testing.assert_allclose(found.total, before, rtol=1e-3, atol=1e-3)


def test_patches_have_the_activations_that_codes_are_pooled_from() -> None:
    clip, sae = made_clip(), made_sae()
    known = applied(sae, "cpu", torch.float32)
    assert known
    code = pooled(tokens_after(clip, -2)[None, 1:], known, M)
    units = code.indices[0][code.values[0] > 0].numpy()
    found = unit_maps(clip, sae, "block-2-patches", PIXELS[:1], units)
    torch.testing.assert_close(found.total, code.values[0][: len(units)])
    assert found.patches.argmax(1).tolist() == code.places[0][: len(units)].tolist()
    silent = np.setdiff1d(np.arange(M), code.indices[0][code.values[0] > 0].numpy())[:1]
    assert not unit_maps(clip, sae, "block-2-patches", PIXELS[:1], silent).patches.any()


def test_what_has_no_map_is_refused_and_says_why() -> None:
    clip = made_clip()
    for site, norm, found in (("embedding", None, "site embedding"), ("block-2", "n", "normalised first")):
        with pytest.raises(RelianceError, match=found):
            unit_maps(clip, made_sae(norm), site, PIXELS[:1], UNITS)
    assert unmapped("block0-patches", made_sae("n")) == "" and unmapped("class_token", made_sae()) == ""
    assert LAYERS > 2


def test_galleries_are_planned_with_maps_where_there_are_some() -> None:
    assert set(PLANNED) == set(MAPPED)
