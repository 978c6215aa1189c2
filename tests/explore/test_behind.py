"""The blocks behind a site, for one image, against the tail that the pipeline uses."""

import numpy as np
import pytest
import torch

from reliance.explore.attribute import Seen, Standing, cosines, relevances
from reliance.explore.behind import Network, of
from reliance.tails.protocol import ABLATION, ACT_X_GRAD
from tails.test_network import DIRECTIONS, INDICES, PIXELS, TEXT, VALUES, Referee


@pytest.mark.parametrize("block", [0, -2])
def test_one_image_is_explained_as_the_network_does(block: int) -> None:
    referee = Referee(block)
    scores = referee.tail().score(referee.x, VALUES, INDICES, np.array([3, 0, 4, 1, 2]))
    row, prompts = torch.zeros(6, dtype=torch.int64), torch.arange(6)
    expected = {form: scores.relevance(form, row, prompts).numpy() for form in (ACT_X_GRAD, ABLATION)}
    y, rest = scores.y[0].numpy(), referee.x.clone()
    rest[0] -= VALUES[0] @ DIRECTIONS[INDICES[0]]
    without = referee.y(rest)[0].numpy()  # before the model becomes float32
    directions = DIRECTIONS[INDICES[0]].numpy()
    seen = Seen(referee.x[0].numpy(), INDICES[0].numpy(), VALUES[0].numpy())
    network = Network(referee.clip, f"block{block}", of(PIXELS[3].permute(1, 2, 0).numpy()))
    found = relevances(seen, directions, np.zeros(directions.shape[1]), network, TEXT.numpy())
    assert np.abs(found.y - y).max() < 2e-6
    assert np.abs(found.act_x_grad - expected[ACT_X_GRAD]).max() < 2e-6
    assert np.abs(found.ablation - expected[ABLATION]).max() < 2e-6
    assert found.without == pytest.approx(without, abs=2e-6)


@pytest.mark.parametrize("site", ["block-2", "block-2-patches"])
def test_with_a_unit_off_the_output_falls_by_its_effect(site: str) -> None:
    referee = Referee(-2)
    network = Network(referee.clip, site, of(PIXELS[3].permute(1, 2, 0).numpy()))
    directions = DIRECTIONS[INDICES[0]].numpy()
    seen = Seen(referee.x[0].numpy(), INDICES[0].numpy(), VALUES[0].numpy())
    if site.endswith("patches"):  # each unit on all patches alike, all of them in one row
        count = network.patches.shape[1]
        seen, directions = seen._replace(x=network.patches.numpy().reshape(-1)), np.tile(directions, count)
    stands = Standing(seen, directions, np.zeros(directions.shape[1]), network)
    found = relevances(*stands, TEXT.numpy())
    for place, unit in enumerate(seen.component):
        y = cosines(stands.without(np.array([unit])), network, TEXT.numpy())
        assert y == pytest.approx(found.y - found.ablation[:, place], abs=2e-6)
    off = cosines(stands.without(seen.component), network, TEXT.numpy())
    assert off == pytest.approx(found.without, abs=2e-6)
    assert np.abs(found.ablation).max() > 1e-4


def test_a_site_that_is_no_block_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="class_token"):
        Network(Referee(0).clip, "class_token", of(np.zeros((24, 24, 3), np.uint8)))
