import numpy as np
import pytest
import torch

from reliance.tails.baselines import equation_6, logit_lens
from reliance.tails.head_tail import HeadTail
from reliance.tails.relevance import (
    act_x_grad,
    image_terms,
    latent_tables,
    outputs,
    pair_relevance,
    prompt_tables,
)

from .test_relevance import D, M, Toy, score, tensor


def tables_of(toy):
    tables = latent_tables(toy.decoder, toy.head, dtype=torch.float64)
    return tables, prompt_tables(tables, toy.text), image_terms(tables, toy.x, toy.values, toy.indices)


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_logit_lens_is_the_score_of_a_latent_alone(bias):
    toy = Toy(bias=bias)
    tables, prompts, _ = tables_of(toy)
    expected = score(tensor(toy.decoder)[None], tensor(toy.text)[:, None], toy.head)
    torch.testing.assert_close(logit_lens(tables, prompts), expected, rtol=1e-10, atol=1e-10)


def test_energy_is_activation_times_length():
    toy = Toy(unit=False)
    active = HeadTail(toy.head, toy.decoder, toy.text, dtype=torch.float64).activate(toy.values, toy.indices)
    expected = toy.values * np.linalg.norm(toy.decoder[toy.indices], axis=2)
    np.testing.assert_allclose(active.energy, expected, rtol=1e-12)


def both(toy):
    tables, prompts, terms = tables_of(toy)
    rows = torch.arange(len(toy.x))
    y = outputs(terms, prompts)[rows, rows]
    return [
        pair_relevance(form(tables, terms), terms.indices, prompts, rows, rows, y)
        for form in (act_x_grad, equation_6)
    ]


def test_equation_6_is_act_x_grad_without_bias_and_eps():
    exact, approximate = both(Toy(bias=0.0, eps=0.0))
    torch.testing.assert_close(approximate, exact, rtol=1e-12, atol=1e-12)


def test_equation_6_is_evaluated_as_the_paper_writes_it():
    toy = Toy(bias=0.5)
    _, found = both(toy)
    for i in range(len(toy.x)):
        x, t = tensor(toy.x[i]), tensor(toy.text[i])
        y = score(x, t, toy.head)
        for q in range(toy.values.shape[1]):
            v = tensor(toy.decoder[toy.indices[i, q]])
            xp, vp = (
                torch.nn.functional.layer_norm(
                    u, (D,), tensor(toy.head.ln_weight), tensor(toy.head.ln_bias), toy.head.eps
                )
                @ tensor(toy.head.proj)
                for u in (x, v)
            )
            factor = toy.values[i, q] * (v - v.mean()).norm() / (x - x.mean()).norm() * vp.norm() / xp.norm()
            expected = factor * (score(v, t, toy.head) - y * torch.cosine_similarity(vp, xp, dim=0))
            torch.testing.assert_close(found[i, q], expected, rtol=1e-10, atol=1e-10)


def test_beta_error_grows_with_the_bias():
    errors = []
    for bias in (0.0, 0.01, 0.1, 0.5):
        exact, approximate = both(Toy(bias=bias, eps=0.0))
        errors.append(float((exact - approximate).abs().sum() / exact.abs().sum()))
    assert errors[0] < 1e-12
    assert errors == sorted(errors) and errors[1] < 0.02 < errors[-1]


def test_a_latent_that_the_head_ignores_has_lens_zero():
    toy = Toy(bias=0.0, eps=1e-5)
    toy.decoder[M - 1] = 1.0  # constant: nothing is left after centring
    tables, prompts, _ = tables_of(toy)
    assert (logit_lens(tables, prompts)[:, M - 1] == 0).all()
