"""Referees: autograd along the path, a head with two latents, and act x grad at the two ends."""

import numpy as np
import pytest
import torch

from reliance.encoders.head import Head
from reliance.tails.integrated import (
    integrated_gradients,
    locate,
    reconstruct,
    relevance,
    see_prompts,
    terms_at,
)
from reliance.tails.relevance import attribute, latent_tables, prompt_tables

from .test_relevance import Toy, score, tensor


def ours(toy, text, rows, steps, device="cpu"):
    """Integrated Gradients [n, C, k] of the prompts `rows` [n, C] of `text`."""
    tables = latent_tables(toy.decoder, toy.head, device, torch.float64)
    x, values, indices, rows = (torch.as_tensor(a).to(device) for a in (toy.x, toy.values, toy.indices, rows))
    empty = x - reconstruct(tables, values, indices)
    ends = locate(tables, empty, indices), locate(tables, x, indices)
    form = integrated_gradients(tables, *ends, values, indices, steps)
    return relevance(form, see_prompts(prompt_tables(tables, text), rows, indices)).cpu()


def by_autograd(toy, text, steps):
    """Mean of a dy/da at the midpoints, the error term frozen; text [n, p]."""
    rows, values = tensor(toy.decoder)[toy.indices], tensor(toy.values)
    error = tensor(toy.x) - (values[..., None] * rows).sum(1)
    found = torch.zeros_like(values)
    for i in range(steps):
        at = ((i + 0.5) / steps * values).requires_grad_()
        y = score(error + (at[..., None] * rows).sum(1), text, toy.head)
        found += values * torch.autograd.grad(y.sum(), at)[0] / steps
    return found


def ends_by_head(toy, text):
    full = tensor(toy.x)
    empty = full - (tensor(toy.values)[..., None] * tensor(toy.decoder)[toy.indices]).sum(1)
    return score(empty, text, toy.head), score(full, text, toy.head)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize(("bias", "eps"), [(0.0, 0.0), (0.5, 1e-5), (2.0, 0.3)])
@pytest.mark.parametrize("steps", [1, 10])
def test_equals_autograd_along_the_path(bias, eps, unit, steps, device):
    toy = Toy(bias=bias, eps=eps, unit=unit)
    toy.values[1, 0] = -1.3  # of an imported SAE
    found = ours(toy, toy.text, np.arange(len(toy.x))[:, None], steps, device)[:, 0]
    torch.testing.assert_close(found, by_autograd(toy, tensor(toy.text), steps), rtol=1e-10, atol=1e-12)


def test_many_prompts_per_image_and_a_batch_of_one():
    toy = Toy(n=1)
    text = np.random.default_rng(1).normal(size=(3, toy.text.shape[1]))
    found = ours(toy, text, [[2, 0, 2]], 4)
    for c, prompt in enumerate((2, 0, 2)):
        torch.testing.assert_close(found[:, c], by_autograd(toy, tensor(text[[prompt]]), 4))


class TwoLatents:
    """Two latents, an error term, d = 4, p = 2."""

    def __init__(self):
        self.head = Head(np.ones(4), np.array([0.1, -0.2, 0.3, 0.0]), np.eye(4)[:, :2] + 0.1, 1e-5)
        self.decoder = np.array([[0.8, -0.6, 0.0, 0.0], [0.0, 0.6, 0.0, -0.8]])
        self.values, self.indices = np.array([[1.5, 1.0]]), np.array([[0, 1]])
        self.x = self.values @ self.decoder + np.array([[0.3, 0.2, -0.4, 0.5]])
        self.text = np.array([[0.6, 0.8]])


def completeness(steps):
    """sum_j IG_j and y(x) - y(x - aV) of the head with two latents."""
    toy = TwoLatents()
    rows, values = tensor(toy.decoder)[toy.indices], tensor(toy.values)

    def y(x):
        normed = torch.nn.functional.layer_norm(
            x, (4,), tensor(toy.head.ln_weight), tensor(toy.head.ln_bias), 1e-5
        )
        return torch.cosine_similarity(normed @ tensor(toy.head.proj), tensor(toy.text), dim=-1)

    change = y(tensor(toy.x)) - y(tensor(toy.x) - (values[..., None] * rows).sum(1))
    return float(ours(toy, toy.text, [[0]], steps).sum()), float(change)


def test_relevances_sum_to_the_change_of_the_output():
    found, change = completeness(1000)
    assert abs(change) > 0.1
    assert abs(found - change) < 1e-6


def test_ten_steps_miss_a_little_of_it():
    """The midpoint rule's error falls with the square of the steps: 2.1 % of the change at 10."""
    found, change = completeness(10)
    assert abs(found - change) / abs(change) == pytest.approx(0.0206, rel=0.01)
    finer, _ = completeness(100)
    assert abs(finer - change) < abs(found - change) / 80


def test_latents_that_are_not_active_have_no_relevance():
    toy = Toy()
    rows = np.arange(len(toy.x))[:, None]
    found = ours(toy, toy.text, rows, 5)[:, 0].numpy()
    assert (toy.values == 0).any() and (found[toy.values == 0] == 0).all()
    toy.values[:] = 0
    assert (ours(toy, toy.text, rows, 5) == 0).all()


def test_nothing_to_point_at_is_no_relevance_and_no_output():
    """Without active latents, biases and error the projected embedding is 0."""
    toy = Toy(n=2, bias=0.0, eps=0.0)
    toy.values[:], toy.x[:] = 0, 0
    assert (ours(toy, toy.text, [[0], [1]], 3) == 0).all()
    tables = latent_tables(toy.decoder, toy.head, dtype=torch.float64)
    indices = torch.as_tensor(toy.indices)
    terms = terms_at(tables, locate(tables, tensor(toy.x), indices), tensor(toy.values), indices)
    assert (terms.unit == 0).all()


def test_points_agree_with_the_closed_form():
    toy = Toy()
    tables = latent_tables(toy.decoder, toy.head, dtype=torch.float64)
    x, values, indices = tensor(toy.x), tensor(toy.values), torch.as_tensor(toy.indices)
    expected = (values[..., None] * tensor(toy.decoder)[indices]).sum(1)
    torch.testing.assert_close(reconstruct(tables, values, indices), expected)
    terms = terms_at(tables, locate(tables, x, indices), values, indices)
    y = attribute(*toy.arguments(), toy.text, dtype=torch.float64).y
    text = tensor(toy.text) / tensor(toy.text).norm(dim=1, keepdim=True)
    torch.testing.assert_close((terms.unit * text).sum(1), y)
