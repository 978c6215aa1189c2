"""Referees: autograd, brute force and full evaluations of the head, with and without LayerNorm."""

import numpy as np
import pytest
import torch

from reliance.encoders.head import Head
from reliance.tails import walk as walks
from reliance.tails.head_tail import HeadTail
from reliance.tails.protocol import EQUATION_6, Tail
from reliance.tails.relevance import attribute

from .test_relevance import D, K, M, Toy, tensor

DOUBLE = torch.float64


def identity(toy):
    """The same images behind a head that is the identity."""
    toy.head = Head(np.ones(D), np.zeros(D), np.eye(D), 0.0, normed=False)
    toy.text = np.random.default_rng(4).normal(size=(len(toy.x), D))
    return toy


def projection(toy):
    """A projection without LayerNorm; weight, bias and eps of one that is not there do not count."""
    toy.head = toy.head._replace(normed=False)
    return toy


HEADS = {"normed": lambda toy: toy, "identity": identity, "projection": projection}


@pytest.fixture(params=HEADS)
def toy(request):
    return HEADS[request.param](Toy(unit=False))


def output(toy, x, text):
    """y by torch's own LayerNorm and cosine."""
    h = toy.head
    if h.normed:
        x = torch.nn.functional.layer_norm(x, (D,), tensor(h.ln_weight), tensor(h.ln_bias), h.eps)
    return torch.cosine_similarity(x @ tensor(h.proj), text, dim=-1)


def opened(toy, path_steps=10) -> Tail:
    return HeadTail(toy.head, toy.decoder, toy.text, dtype=DOUBLE, path_steps=path_steps)


def parts(toy):
    """(activations, decoder rows [n, k, d], what is left without them)."""
    values, rows = tensor(toy.values), tensor(toy.decoder)[toy.indices]
    return values, rows, tensor(toy.x) - (values[..., None] * rows).sum(1)


def gradient(toy, share, text):
    """a dy/da by autograd at a share of the activations."""
    values, rows, rest = parts(toy)
    at = (share * values).requires_grad_()
    y = output(toy, rest + (at[..., None] * rows).sum(1), text)
    return values * torch.autograd.grad(y.sum(), at)[0]


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_outputs_and_relevances_of_all_prompts(toy):
    tail, n = opened(toy), len(toy.x)
    scores = tail.score(toy.x, toy.values, toy.indices)
    assert (tail.prompts, tail.units, tail.device.type) == (n, M, "cpu")
    values, rows, _ = parts(toy)
    every = torch.arange(n)
    for c in range(n):
        text = tensor(toy.text[c])
        y = output(toy, tensor(toy.x), text)
        close(scores.y[:, c], y)
        prompts = torch.full((n,), c)
        close(scores.relevance("act_x_grad", every, prompts), gradient(toy, 1.0, text))
        without = output(toy, tensor(toy.x)[:, None] - values[..., None] * rows, text)
        close(scores.relevance("ablation", every, prompts), y[:, None] - without)


def test_the_functions_for_one_call_agree(toy):
    found = attribute(*toy.arguments(), toy.text, dtype=DOUBLE)
    scores, rows = opened(toy).score(toy.x, toy.values, toy.indices), torch.arange(len(toy.x))
    close(found.act_x_grad, scores.relevance("act_x_grad", rows, rows))
    close(found.ablation, scores.relevance("ablation", rows, rows))


def test_a_unit_alone(toy):
    expected = output(toy, tensor(toy.decoder)[None], tensor(toy.text)[:, None])
    close(opened(toy).alone(), expected)


def test_relevances_on_the_way_from_no_unit_to_all(toy):
    n, steps = len(toy.x), 7
    tail = opened(toy, steps)
    active = tail.activate(toy.values, toy.indices)
    _, _, rest = parts(toy)
    prompts = torch.tensor([[i, (i + 1) % n] for i in range(n)])
    found = active.stretch(rest, tensor(toy.x)).relevances(("act_x_grad", "integrated_gradients"), prompts)
    for c in range(2):
        text = tensor(toy.text)[prompts[:, c]]
        close(found["act_x_grad"][:, c], gradient(toy, 1.0, text))
        path = sum(gradient(toy, (i + 0.5) / steps, text) for i in range(steps)) / steps
        close(found["integrated_gradients"][:, c], path)


@pytest.mark.parametrize("whole", [0, 128])
def test_walks_are_evaluations_of_the_head(toy, monkeypatch, whole):
    """With kept inner products, and with those that are made when they are asked for."""
    monkeypatch.setattr(walks, "_WHOLE", whole)
    values, rows, rest = parts(toy)
    n, text = len(toy.x), tensor(toy.text)
    active = opened(toy).activate(toy.values, toy.indices)
    assert isinstance(active.grams, walks.WholeGrams if whole else walks.LazyGrams)
    start, end = active.stretch(rest, tensor(toy.x)).walks(torch.arange(n))
    order = torch.as_tensor(np.stack([np.random.default_rng(i).permutation(K)[:4] for i in range(n)]))
    order[2, 1] = -1
    for at, sign in ((end, -1), (start, 1)):
        kept = torch.full((n, K), 1.0 if sign < 0 else 0.0, dtype=DOUBLE)
        y = [output(toy, rest + (kept[..., None] * values[..., None] * rows).sum(1), text)]
        moving = at
        for step in range(order.shape[1]):
            close(moving.output(), y[-1])
            single = []
            for i in range(K):
                one = kept.clone()
                one[:, i] += sign
                single.append(output(toy, rest + (one[..., None] * values[..., None] * rows).sum(1), text))
            close(moving.single_moves(sign), torch.stack(single, 1))
            chosen = order[:, step]
            moved = chosen >= 0
            kept[moved, chosen[moved]] += sign
            y.append(output(toy, rest + (kept[..., None] * values[..., None] * rows).sum(1), text))
            close(moving.curve(chosen[:, None], sign)[:, 1], y[-1])
            moving = moving.advance(chosen, sign)
            if not moved.all():  # a single move of what has moved is no move of this walk
                break
        close(at.curve(order, sign)[:, : len(y)], torch.stack(y, 1))


def test_energy_is_the_length_of_what_is_added(toy):
    values, rows, _ = parts(toy)
    active = opened(toy).activate(toy.values, toy.indices)
    close(active.energy, values * rows.norm(dim=2))
    close(active.sum, (values[..., None] * rows).sum(1))


def test_only_a_head_with_layer_norm_has_equation_6(toy):
    assert (EQUATION_6 in opened(toy).forms) == toy.head.normed
