"""Units removed and clipped, against the head applied to site vectors changed by hand, in float64."""

import numpy as np
import pytest
import torch

from attribution.toy import M, ToySplit
from reliance.attribution.inputs import open_inputs
from reliance.repair.scene import Scene
from reliance.tails.relevance import latent_tables


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return ToySplit(tmp_path_factory.mktemp("toy"), seed=4)


@pytest.fixture(scope="module")
def scene(toy):
    return Scene(open_inputs(toy.files(), "train"), 1, block_rows=50)


def output(toy, x, text):
    """Eq. 4 by torch's LayerNorm, float64."""
    h = toy.head
    weight, bias = (torch.as_tensor(a, dtype=torch.float64) for a in (h.ln_weight, h.ln_bias))
    x = torch.nn.functional.layer_norm(
        torch.as_tensor(x, dtype=torch.float64), (len(weight),), weight, bias, h.eps
    )
    z = (x @ torch.as_tensor(h.proj, dtype=torch.float64)).numpy()
    return z @ text / np.linalg.norm(z, axis=1)


@pytest.mark.parametrize("caps", [None, np.array([0.8, 0.0, 1.1])])
def test_units_are_removed_and_clipped_exactly(toy, scene, caps):
    units = np.array([20, 13, 4])
    x = toy.x.astype(np.float64).copy()
    for i in range(toy.rows):
        for value, j in zip(toy.values[i].astype(np.float64), toy.indices[i], strict=True):
            if value and j in units:
                cap = 0.0 if caps is None else caps[units.tolist().index(j)]
                x[i] -= max(value - cap, 0) * toy.decoder[j]
    for row in range(len(toy.text)):
        text = scene.text[row].astype(np.float64)
        expected = output(toy, x[scene.ids], text)
        np.testing.assert_allclose(scene.without(units, text, caps), expected, atol=2e-6)


def test_what_units_add_to_an_embedding_is_what_the_tables_say(toy, scene):
    tables = latent_tables(toy.decoder, toy.head, dtype=torch.float64)
    np.testing.assert_allclose(scene.lens(np.arange(M)), tables.lens.numpy(), atol=1e-6)


def test_an_image_goes_to_the_class_with_the_largest_output(scene):
    every = scene.unit @ scene.text.T
    for row in range(every.shape[1]):
        changed = every[:, row] + np.random.default_rng(row).normal(0, 0.2, len(every))
        table = every.copy()
        table[:, row] = changed
        assert (scene.hits(row, changed) == (table.argmax(1) == scene.label)).all()


def test_the_view_is_of_images_with_a_class_that_could_be_read(toy, scene):
    assert (scene.ids == np.flatnonzero(toy.valid & (toy.labels >= 0))).all()
    assert (scene.places(scene.ids[[3, 5]]) == [3, 5]).all()
