"""The definitions for one image against the closed form of the pipeline, which has referees of its own."""

import numpy as np
import pytest
import torch

from reliance.encoders.head import Head, identity_head
from reliance.explore.attribute import Closed, Seen, relevances
from reliance.tails.relevance import attribute


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("k", [1, 7, 0])
def test_one_image_is_explained_as_the_closed_form_does(normed, k):
    g = np.random.default_rng(k)
    d, p = (24, 9) if normed else (9, 9)
    head = identity_head(p)
    if normed:
        weights = (a.astype(np.float32) for a in (1 + 0.3 * g.normal(size=d), 0.3 * g.normal(size=d)))
        head = Head(*weights, proj=g.normal(size=(d, p)).astype(np.float32), eps=1e-5)
    directions = g.normal(size=(k, d)).astype(np.float32)
    seen = Seen(g.normal(size=d).astype(np.float32), np.arange(k), g.uniform(0.1, 2, k).astype(np.float32))
    text, offset = g.normal(size=(3, p)).astype(np.float32), np.zeros(d, np.float32) + 0.1
    found = relevances(seen, directions, offset, Closed(head), text)
    assert found.act_x_grad.shape == found.ablation.shape == (3, k)
    for c in range(3 if k else 0):
        arrays = seen.x[None], seen.activation[None], np.arange(k)[None]
        expected = attribute(*arrays, directions, head, text[c], dtype=torch.float64)
        assert found.y[c] == pytest.approx(float(expected.y[0]), abs=1e-12)
        assert np.allclose(found.act_x_grad[c], expected.act_x_grad[0], rtol=0, atol=1e-12)
        assert np.allclose(found.ablation[c], expected.ablation[0], rtol=0, atol=1e-12)
    if k == 0:
        assert found.without == pytest.approx(found.y)
