"""The derivation of Eq. 6 in App. B.1, step by step, in numbers (beta = 0, LayerNorm without eps)."""

import numpy as np
import pytest
import torch

TOLERANCE = 1e-12
D, P, N = 20, 9, 6


@pytest.fixture
def world():
    """x as a sum over latents, the last two being the bias and the error (Eq. 17)."""
    g = np.random.default_rng(3)
    v, gamma, w, t = (g.normal(size=s) for s in ((N + 2, D), D, (D, P), P))
    a = np.append(g.uniform(0.2, 2, N), [1.0, 1.0])
    return a, v, gamma, w, t


def norm(u):
    return np.linalg.norm(u, axis=-1, keepdims=u.ndim > 1)


def centred(u):
    return u - u.mean(-1, keepdims=True)


def layer_norm(u, gamma):
    """Eqs. 15 and 16, as the paper writes them: without the square root of d."""
    return centred(u) / norm(centred(u)) * gamma


def numerically(f, a, j):
    """df/da_j by torch autograd, f being written with torch operations."""
    value = torch.tensor(a, requires_grad=True)
    return torch.autograd.functional.jacobian(f, value)[..., j].detach().numpy()


def close(left, right):
    np.testing.assert_allclose(left, right, rtol=TOLERANCE, atol=TOLERANCE)


def embed(a, v, gamma, w):
    """x' as a differentiable function of a."""
    x = a @ torch.tensor(v)
    c = x - x.mean()
    return (c / c.norm() * torch.tensor(gamma)) @ torch.tensor(w)


@pytest.mark.parametrize("j", range(N))
def test_equations_17_to_31(world, j):
    a, v, gamma, w, t = world
    x = a @ v
    close(centred(x), a @ centred(v))  # 18
    spread, length = norm(centred(v))[:, 0], norm(centred(x))
    close(layer_norm(x, gamma), (a * spread / length) @ layer_norm(v, gamma))  # 19
    vp = layer_norm(v, gamma) @ w
    xp = layer_norm(x, gamma) @ w
    close(xp, (a * spread) @ vp / length)  # 20
    dx = numerically(lambda s: embed(s, v, gamma, w), a, j)
    dlength = centred(x) @ centred(v[j]) / length
    close(numerically(lambda s: (s @ torch.tensor(centred(v))).norm(), a, j), dlength)  # 22
    close(dx, (length * spread[j] * vp[j] - (a * spread) @ vp * dlength) / length**2)  # 21
    close(dx, (length * spread[j] * vp[j] - xp * (centred(x) @ centred(v[j]))) / length**2)  # 23
    cosine = centred(v[j]) @ centred(x) / spread[j] / length
    close(dx, spread[j] / length * (vp[j] - cosine * xp))  # 24
    dnorm = numerically(lambda s: embed(s, v, gamma, w).norm(), a, j)
    close(dnorm, xp @ dx / norm(xp))  # 25
    close(dnorm, spread[j] / length * (xp @ vp[j] / norm(xp) - cosine * norm(xp)))  # 26, |x'| restored
    dunit = numerically(lambda s: embed(s, v, gamma, w) / embed(s, v, gamma, w).norm(), a, j)
    close(dunit, (norm(xp) * dx - xp * dnorm) / norm(xp) ** 2)  # 13
    close(dunit, spread[j] / length / norm(xp) * (vp[j] - xp @ vp[j] / norm(xp) * xp / norm(xp)))  # 27
    size = norm(vp)[j, 0]
    inner = vp[j] / size - xp @ vp[j] / norm(xp) / size * xp / norm(xp)
    close(dunit, spread[j] / length * size / norm(xp) * inner)  # 28
    unit = t / norm(t)
    relevance = a[j] * dunit @ unit  # 29
    y, lens = xp @ unit / norm(xp), vp[j] @ unit / size
    aligned = xp @ vp[j] / norm(xp) / size
    factor = a[j] * spread[j] / length * size / norm(xp)
    close(relevance, factor * (vp[j] @ unit / size - aligned * (xp @ unit / norm(xp))))  # 30
    close(relevance, factor * (lens - aligned * y))  # 31, which is Eq. 6
