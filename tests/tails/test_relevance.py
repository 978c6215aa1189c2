"""Referees: torch autograd for act x grad, deletion of every latent in turn for leave-one-out."""

import numpy as np
import pytest
import torch

from reliance.encoders.head import Head
from reliance.tails.relevance import (
    ablation,
    act_x_grad,
    attribute,
    image_terms,
    latent_tables,
    outputs,
    pair_relevance,
    prompt_tables,
    row_dots,
)

D, P, M, K = 24, 10, 40, 6


class Toy:
    """A head, a decoder and codes; activations of padding are 0 at index 0."""

    def __init__(self, seed=0, n=7, bias=0.4, eps=1e-2, unit=True):
        g = np.random.default_rng(seed)
        self.head = Head(1 + 0.3 * g.normal(size=D), bias * g.normal(size=D), g.normal(size=(D, P)), eps)
        self.decoder = g.normal(size=(M, D))
        if unit:
            self.decoder /= np.linalg.norm(self.decoder, axis=1, keepdims=True)
        self.x = 2 * g.normal(size=(n, D)) + 0.5
        self.indices = np.stack([g.permutation(M - 1)[:K] for _ in range(n)])  # the last latent never fires
        self.values = g.uniform(0.1, 2, (n, K))
        self.values[::2, -2:], self.indices[::2, -2:] = 0, 0
        self.text = g.normal(size=(n, P))

    def arguments(self):
        return self.x, self.values, self.indices, self.decoder, self.head


def tensor(a):
    return torch.as_tensor(a, dtype=torch.float64)


def score(x, text, head):
    """Eq. 4 by torch's own LayerNorm and cosine."""
    normed = torch.nn.functional.layer_norm(x, (D,), tensor(head.ln_weight), tensor(head.ln_bias), head.eps)
    return torch.cosine_similarity(normed @ tensor(head.proj), text, dim=-1)


def referee(toy, text):
    """(y, act x grad by autograd, leave-one-out by deletion), the error term frozen."""
    rows = tensor(toy.decoder)[toy.indices]
    values = tensor(toy.values).requires_grad_()
    error = tensor(toy.x) - (values.detach()[..., None] * rows).sum(1)
    y = score(error + (values[..., None] * rows).sum(1), text, toy.head)
    (gradient,) = torch.autograd.grad(y.sum(), values)
    deleted = []
    for i in range(toy.values.shape[1]):
        left = values.detach().clone()
        left[:, i] = 0
        deleted.append(y.detach() - score(error + (left[..., None] * rows).sum(1), text, toy.head))
    return y.detach(), (values * gradient).detach(), torch.stack(deleted, 1)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize(("bias", "eps"), [(0.0, 0.0), (0.0, 1e-2), (0.5, 0.0), (0.5, 1e-5), (2.0, 0.3)])
def test_both_relevances_equal_autograd_and_deletion(bias, eps, unit, device):
    toy = Toy(bias=bias, eps=eps, unit=unit)
    found = attribute(*toy.arguments(), toy.text, dtype=torch.float64, device=device)
    for ours, theirs in zip(found, referee(toy, tensor(toy.text)), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_lower_precision_stays_within_its_tolerance(dtype, tolerance, device):
    """Of the norm of y, of act x grad and of leave-one-out over seven images."""
    toy = Toy()
    found = attribute(*toy.arguments(), toy.text, dtype=dtype, device=device)
    for ours, theirs in zip(found, referee(toy, tensor(toy.text)), strict=True):
        assert (ours.cpu().double() - theirs).norm() < tolerance * theirs.norm()


def test_one_image_and_one_prompt():
    toy = Toy(n=1)
    found = attribute(*toy.arguments(), toy.text[0], dtype=torch.float64)
    for ours, theirs in zip(found, referee(toy, tensor(toy.text)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_negative_activations_of_imported_saes_count():
    toy = Toy()
    toy.values[1, 0] = -1.3
    found = attribute(*toy.arguments(), toy.text, dtype=torch.float64)
    for ours, theirs in zip(found, referee(toy, tensor(toy.text)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_padding_and_latents_that_do_not_fire_have_no_relevance():
    toy = Toy()
    found = attribute(*toy.arguments(), toy.text)
    padding = toy.values == 0
    assert padding.any()
    assert (found.act_x_grad.numpy()[padding] == 0).all() and (found.ablation.numpy()[padding] == 0).all()
    toy.values[:] = 0
    found = attribute(*toy.arguments(), toy.text)
    assert (found.act_x_grad == 0).all() and (found.ablation == 0).all()


@pytest.mark.parametrize("form", [act_x_grad, ablation])
def test_pairs_of_images_and_prompts_two_templates_and_a_repeated_prompt(form, device):
    toy = Toy(n=5)
    names, templates = np.random.default_rng(1).normal(size=(2, 2, P))
    text = np.concatenate([names + templates[:1], names + templates[1:], names[:1] + templates[:1]])
    tables = latent_tables(toy.decoder, toy.head, device, torch.float64)
    prompts, terms = prompt_tables(tables, text), image_terms(tables, toy.x, toy.values, toy.indices)
    y = outputs(terms, prompts)
    rows = torch.tensor([4, 0, 0, 2, 4, 1], device=device)
    classes = torch.tensor([0, 4, 0, 3, 1, 2], device=device)
    found = pair_relevance(form(tables, terms), terms.indices, prompts, rows, classes, y[rows, classes])
    y, rows, classes, found = (t.cpu() for t in (y, rows, classes, found))
    for pair, (row, prompt) in enumerate(zip(rows, classes, strict=True)):
        expected = referee(toy, tensor(text[prompt]))
        relevances = expected[1 if form is act_x_grad else 2][row]
        torch.testing.assert_close(y[row, prompt], expected[0][row], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(found[pair], relevances, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found[1], found[2])  # prompts 0 and 4 are the same


def test_no_images_and_no_pairs():
    toy = Toy()
    tables = latent_tables(toy.decoder, toy.head)
    prompts = prompt_tables(tables, toy.text)
    terms = image_terms(tables, toy.x[:0], toy.values[:0], toy.indices[:0])
    none = torch.zeros(0, dtype=torch.int64)
    found = pair_relevance(ablation(tables, terms), terms.indices, prompts, none, none, torch.zeros(0))
    assert found.shape == (0, K) and outputs(terms, prompts).shape == (0, len(toy.text))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_row_dots_are_those_of_copied_rows(dtype, device):
    toy = Toy()
    rows, indices = torch.as_tensor(toy.decoder).to(device, dtype), torch.as_tensor(toy.indices).to(device)
    x = torch.randn(2, len(indices), D, dtype=dtype, generator=torch.Generator().manual_seed(0)).to(device)
    for found, vectors in zip(row_dots(rows, indices, x), x, strict=True):
        torch.testing.assert_close(found, torch.einsum("nkd,nd->nk", rows[indices], vectors))
    assert [found.shape for found in row_dots(rows, indices[:0], x[:, :0])] == [(0, K), (0, K)]


@pytest.mark.parametrize("wrong", [-1, M, 10**10])
def test_an_index_that_is_no_row_is_refused(wrong, device):
    rows, indices = torch.zeros(M, D, device=device), torch.zeros(2, K, dtype=torch.int64, device=device)
    indices[1, 2] = wrong
    with pytest.raises(IndexError, match=f"of a matrix of {M}"):
        row_dots(rows, indices, torch.zeros(1, 2, D, device=device))


def test_scaling_a_prompt_changes_nothing():
    toy = Toy()
    torch.testing.assert_close(
        attribute(*toy.arguments(), 7 * toy.text), attribute(*toy.arguments(), toy.text)
    )


def test_float32_keeps_small_relevances():
    """Activations of one in a thousand: differences of two cosines would lose most digits."""
    toy = Toy(eps=1e-5)
    toy.values *= 1e-3
    exact = attribute(*toy.arguments(), toy.text, dtype=torch.float64)
    found = attribute(*toy.arguments(), toy.text)
    size = exact.ablation.abs().max()
    assert size < 1e-2
    torch.testing.assert_close(found.ablation.double(), exact.ablation, rtol=0, atol=2e-6 * float(size))
    torch.testing.assert_close(found.act_x_grad.double(), exact.act_x_grad, rtol=0, atol=2e-6 * float(size))


def test_deleting_all_of_x_stays_finite():
    toy = Toy(n=1, bias=0.0, eps=0.0)
    toy.x = 1.5 * toy.decoder[[3]]
    toy.values, toy.indices = np.array([[1.5]]), np.array([[3]])
    for dtype in (torch.float32, torch.float64):
        found = attribute(*toy.arguments(), toy.text, dtype=dtype)
        assert torch.isfinite(found.ablation).all() and torch.isfinite(found.act_x_grad).all()
