"""Outputs linear in z, against autograd and against leaving one unit out."""

import numpy as np
import pytest
import torch

from reliance.encoders.head import Head, identity_head, project
from reliance.tails.linear import LinearTail

D, P, M, K, N, Q = 12, 7, 20, 4, 5, 3


@pytest.fixture(params=[True, False], ids=["LayerNorm", "without"])
def made(request):
    g = np.random.default_rng(3)
    head = Head(1 + 0.2 * g.normal(size=D), 0.3 * g.normal(size=D), g.normal(size=(D, P)), 1e-5)
    if not request.param:
        head = identity_head(D)
    values = g.uniform(0.3, 2, (N, K)) * (g.random((N, K)) > 0.2)
    indices = np.stack([g.permutation(M)[:K] for _ in range(N)])
    weight = g.normal(size=(Q, P if request.param else D))
    return head, g.normal(size=(M, D)), weight, g.normal(size=(N, D)), values, indices


def test_leaving_one_out(made):
    head, decoder, weight, x, values, indices = made
    found = LinearTail(head, decoder, weight, dtype=torch.float64).relevance(x, values, indices, "ablation")
    for n in range(N):
        for k in range(K):
            without = x[n] - values[n, k] * decoder[indices[n, k]]
            expected = weight @ (project(x[n : n + 1], head)[0] - project(without[None], head)[0])
            np.testing.assert_allclose(found[:, n, k], expected, atol=1e-9)


def test_act_x_grad(made):
    head, decoder, weight, x, values, indices = made
    found = LinearTail(head, decoder, weight, dtype=torch.float64).relevance(x, values, indices, "act_x_grad")
    g, b, w = (torch.tensor(np.asarray(v, np.float64)) for v in (head.ln_weight, head.ln_bias, head.proj))
    for n in range(N):
        a = torch.tensor(values[n], requires_grad=True)
        rest = torch.tensor(x[n] - values[n] @ decoder[indices[n]])
        point = rest + a @ torch.tensor(decoder[indices[n]])
        if head.normed:
            centred = point - point.mean()
            point = (centred / (centred.square().mean() + head.eps).sqrt() * g + b) @ w
        for q in range(Q):
            (slope,) = torch.autograd.grad(torch.tensor(weight[q]) @ point, a, retain_graph=True)
            np.testing.assert_allclose(found[q, n], values[n] * slope.numpy(), atol=1e-9)
