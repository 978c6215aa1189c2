"""Curves by hand on a head with two latents, and moves against each other on larger ones."""

import numpy as np
import pytest
import torch

from reliance.encoders.head import Head
from reliance.faithfulness.orderings import greedy
from reliance.tails.integrated import _GATHER, locate, reconstruct, see_prompts
from reliance.tails.relevance import attribute, latent_tables, prompt_tables
from reliance.tails.walk import WholeGrams, grams, walk

from .test_relevance import Toy, tensor


def walks(x, values, indices, decoder, head, text):
    """Walks that start at x - aV and at x."""
    tables = latent_tables(decoder, head, dtype=torch.float64)
    x, values, indices = tensor(x), tensor(values), torch.as_tensor(indices)
    rows = torch.arange(len(x))[:, None]
    prompted = see_prompts(prompt_tables(tables, text), rows, indices)
    empty = x - reconstruct(tables, values, indices)
    inner = grams(tables, indices)
    return [
        walk(tables, inner, locate(tables, point, indices), values, indices, prompted) for point in (empty, x)
    ]


@pytest.fixture
def by_hand():
    """x = 3 v_1 + 4 v_2 is projected to (3, 4) / s; the LayerNorm has no bias."""
    decoder = np.array([[1, -1, 0, 0], [0, 0, 1, -1]]) / np.sqrt(2)
    head = Head(np.ones(4), np.zeros(4), decoder.T.copy(), 0.0)
    values, indices = np.array([[4.0, 3.0], [4.0, 3.0]]), np.array([[1, 0], [1, 0]])
    text = np.array([[1.0, 0.0], [0.6, 0.8]])
    return walks(values @ decoder[[1, 0]], values, indices, decoder, head, text)


def test_a_deletion_curve_by_hand(by_hand):
    """(3, 4) points to (1, 0) with cosine 3/5, and to (0.6, 0.8) with 1; without both there is nothing."""
    _, full = by_hand
    first_one = full.curve(torch.tensor([[1, 0], [1, 0]]), -1)
    np.testing.assert_allclose(first_one, [[0.6, 0, 0], [1, 0.8, 0]], atol=1e-15)
    first_two = full.curve(torch.tensor([[0, 1], [0, 1]]), -1)
    np.testing.assert_allclose(first_two, [[0.6, 1, 0], [1, 0.6, 0]], atol=1e-15)
    nothing = full.curve(torch.tensor([[-1, 0], [0, -1]]), -1)
    np.testing.assert_allclose(nothing, [[0.6, 0.6, 1], [1, 0.6, 0.6]], atol=1e-15)


def test_an_insertion_curve_by_hand(by_hand):
    empty, _ = by_hand
    found = empty.curve(torch.tensor([[1, 0], [0, 1]]), 1)
    np.testing.assert_allclose(found, [[0, 1, 0.6], [0, 0.8, 1]], atol=1e-15)


def test_the_best_order_by_hand(by_hand):
    """Deleting the second latent would raise the first image's output, and lower the second's most."""
    empty, full = by_hand
    assert greedy(full, 3, -1).tolist() == [[1, 0, -1], [0, 1, -1]]
    assert greedy(empty, 2, 1).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(("bias", "eps"), [(0.0, 0.0), (0.5, 1e-5), (2.0, 0.3)])
def test_curves_moves_and_steps_agree_with_leave_one_out_and_each_other(bias, eps):
    toy = Toy(bias=bias, eps=eps, unit=False)
    toy.values[1, 0] = -1.3
    empty, full = walks(*toy.arguments(), toy.text)
    exact = attribute(*toy.arguments(), toy.text, dtype=torch.float64)
    torch.testing.assert_close(full.output(), exact.y, rtol=1e-10, atol=1e-12)
    single = exact.y[:, None] - full.single_moves(-1)
    torch.testing.assert_close(single, exact.ablation, rtol=1e-9, atol=1e-12)
    order = torch.as_tensor(np.stack([np.random.default_rng(i).permutation(6) for i in range(7)]))
    down, up = full.curve(order, -1), empty.curve(order.flip(1), 1)
    torch.testing.assert_close(down, up.flip(1), rtol=1e-10, atol=1e-10)
    at = full
    for i in range(6):
        torch.testing.assert_close(at.output(), down[:, i], rtol=1e-10, atol=1e-10)
        one = at.single_moves(-1).gather(1, order[:, i : i + 1])[:, 0]
        torch.testing.assert_close(one, down[:, i + 1], rtol=1e-9, atol=1e-9)
        at = at.advance(order[:, i], -1)


def test_gathering_in_small_steps_changes_nothing(monkeypatch):
    toy = Toy()
    tables, indices = latent_tables(toy.decoder, toy.head, dtype=torch.float64), torch.as_tensor(toy.indices)
    whole = WholeGrams(tables, indices)
    monkeypatch.setitem(_GATHER, "cpu", 1)
    for ours, theirs in zip(WholeGrams(tables, indices).products, whole.products, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (tables.decoder.numpy() == toy.decoder).all()


def test_ties_of_the_best_order_go_to_the_lowest_position():
    toy = Toy(n=1)
    toy.indices[:], toy.values[:] = toy.indices[:, :1], toy.values[:, :1]  # six times the same latent
    for at, sign in zip(walks(*toy.arguments(), toy.text), (1, -1), strict=True):
        assert greedy(at, 4, sign).tolist() == [[0, 1, 2, 3]]
