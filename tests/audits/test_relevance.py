"""Attribution of a probe against autograd and brute force, and mean relevances by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from reliance.audits.files import Probes
from reliance.audits.inputs import ProbedImages
from reliance.audits.relevance import mean_relevances, probe_relevance, shares
from reliance.encoders.head import Head
from reliance.tails.head_tail import HeadTail

D, P, M, K, N, SCALE = 10, 6, 9, 3, 5, 10.0


@pytest.fixture
def case():
    g = np.random.default_rng(0)
    head = Head(g.normal(size=D), g.normal(size=D), g.normal(size=(D, P)), 1e-5)
    decoder = g.normal(size=(M, D))
    indices = np.stack([g.permutation(M)[:K] for _ in range(N)])
    values = g.uniform(0.2, 2, (N, K))
    values[0, 2] = indices[0, 2] = 0
    x = (values[..., None] * decoder[indices]).sum(1) + 0.1 * g.normal(size=(N, D))
    block = ProbedImages(np.array([True, True, False, False, False]), x, values, indices)
    weight, bias = g.normal(size=(2, P)), g.normal(size=2)
    return head, decoder, block, weight, bias


def log_odds(x, head, weight, bias):
    """What the probe says of class tokens x [n, d], written out."""
    c = x - x.mean(1, keepdim=True)
    s = (c.square().mean(1, keepdim=True) + head.eps).sqrt()
    z = (c / s * torch.as_tensor(head.ln_weight) + torch.as_tensor(head.ln_bias)) @ torch.as_tensor(head.proj)
    return SCALE * (z / z.norm(dim=1, keepdim=True)) @ torch.as_tensor(weight).T + torch.as_tensor(bias)


def found(case, relevance):
    head, decoder, block, weight, _ = case
    tail = HeadTail(head, decoder, weight, dtype=torch.float64)
    return probe_relevance(tail, block, weight, SCALE, relevance)


def test_act_x_grad_against_autograd(case):
    head, decoder, block, weight, bias = case
    a = torch.tensor(block.values, requires_grad=True)
    v = torch.as_tensor(decoder)[torch.as_tensor(block.indices)]
    error = torch.as_tensor(block.x) - (a.detach()[..., None] * v).sum(1)
    odds = log_odds((a[..., None] * v).sum(1) + error, head, weight, bias)
    for i in range(len(weight)):
        (gradient,) = torch.autograd.grad(odds[:, i].sum(), a, retain_graph=True)
        np.testing.assert_allclose(
            found(case, "act_x_grad")[i], (a * gradient).detach(), rtol=1e-9, atol=1e-12
        )


def test_ablation_against_leaving_each_one_out(case):
    head, decoder, block, weight, bias = case
    relevances = found(case, "ablation")
    x = torch.as_tensor(block.x)
    before = log_odds(x, head, weight, bias)
    for j in range(K):
        gone = torch.as_tensor(block.values[:, j : j + 1] * decoder[block.indices[:, j]])
        change = before - log_odds(x - gone, head, weight, bias)
        np.testing.assert_allclose(relevances[:, :, j], change.T, rtol=1e-8, atol=1e-10)


def test_means_count_zeros_and_turn_the_sign_for_the_negative_class(case):
    head, decoder, block, weight, bias = case
    probes = Probes(weight, bias, np.array([0, 0.5]), np.zeros(P), SCALE)
    tail = HeadTail(head, decoder, weight, dtype=torch.float64)
    halves = [ProbedImages(*(part[rows] for part in block)) for rows in (slice(0, 3), slice(3, None))]
    frame = mean_relevances(tail, halves, probes, [0, 1])
    relevances = found(case, "act_x_grad")
    fires = set(block.indices[block.values != 0].tolist())
    assert set(frame["component"]) == fires
    for row in frame.to_dict("records"):
        values = relevances[0 if row["probe"] == "plain" else 1]
        own = block.positive == row["positive"]
        here = values[own][(block.indices[own] == row["component"]) & (block.values[own] != 0)]
        sign = 1 if row["positive"] else -1
        assert row["n"] == own.sum()
        assert row["relevance"] == pytest.approx(sign * here.sum() / own.sum(), abs=1e-12)
    for _, part in frame.groupby(["probe", "positive"]):
        ordered = part.sort_values("rank")
        assert ordered["rank"].tolist() == list(range(1, len(fires) + 1))
        assert ordered["relevance"].is_monotonic_decreasing
        assert part["share"].sum() == pytest.approx(100)


def test_shares_are_percent_of_the_sum_of_absolute_means():
    np.testing.assert_allclose(shares(np.array([3.0, -1.0, 0.0])), [75, 25, 0])
    np.testing.assert_array_equal(shares(np.zeros(2)), 0)


def test_frame_has_the_columns_of_the_table(case):
    from reliance.audits.schema import RELEVANCES

    head, decoder, block, weight, bias = case
    probes = Probes(weight[:1], bias[:1], np.zeros(1), np.zeros(P), SCALE)
    frame = mean_relevances(HeadTail(head, decoder, weight[:1]), [block], probes, [0])
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [name for name, _ in RELEVANCES.columns]
