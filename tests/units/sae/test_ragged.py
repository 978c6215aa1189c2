"""Steps of SAEs with a varying number of active latents, against dense ones by autograd."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from reliance.units.sae import batch_top_k, jump_relu, matryoshka
from reliance.units.sae.ragged import among_all
from reliance.units.sae.sparse import Parameters, Thresholded
from reliance.units.sae.step import Loss, Objective, Step

from .test_step import AIMS, CASES, Case, D, K, M, case, kept, to

PREFIXES = (5, 12, M)
DEAD = pytest.mark.parametrize("name", [name for name in CASES if name != "ties"])


class Dense(NamedTuple):
    loss: Loss
    gradients: tuple[Tensor, ...]


def among(pre: Tensor, k: int) -> Tensor:
    """relu(pre) with all but the n k largest entries of the whole batch set to zero, dense."""
    flat = pre.detach().relu().flatten()
    chosen = flat.argsort(descending=True, stable=True)[: k * len(pre)]
    return pre.relu() * torch.zeros_like(flat).index_fill_(0, chosen, 1.0).view_as(pre)


def dense(
    chosen: Case,
    code: Callable[[Tensor, Tensor], Tensor],
    prefixes: tuple[int, ...] = (M,),
    extra: float = 0.0,
) -> Dense:
    """The loss of `step`, averaged over prefixes, with codes as dense matrices."""
    p = [t.clone().requires_grad_() for t in chosen.parameters]
    encoder, bias_e, decoder, bias = p[:4]
    pre = (chosen.x - bias) @ encoder.T + bias_e
    a = code(pre, p[4] if len(p) > 4 else pre)
    direction = scale = torch.zeros((), dtype=pre.dtype)
    for size in prefixes:
        xhat = a[:, :size] @ decoder[:size] + bias
        unit, found = (t / t.norm(dim=1, keepdim=True) for t in (chosen.x, xhat))
        direction = direction + (unit - found).square().sum(1).mean() / len(prefixes)
        scale = scale + AIMS.scale_weight * (chosen.x - xhat).square().sum(1).mean() / AIMS.power / len(
            prefixes
        )
    auxiliary = torch.zeros_like(scale)
    if chosen.dead is not None and len(chosen.dead):
        rest = (chosen.x - xhat).detach()
        rhat = kept(pre[:, chosen.dead], min(AIMS.aux_k, len(chosen.dead))) @ decoder[chosen.dead]
        auxiliary = AIMS.aux_weight * (rest - rhat).square().sum(1).mean() / rest.square().sum(1).mean()
    if extra:
        l0 = Heaviside.apply(pre, p[4].clamp(min=0)).sum(1).mean()
        scale = scale + extra * (l0 / K - 1) ** 2
    total = direction + scale + auxiliary
    return Dense(Loss(total, direction, scale, auxiliary), torch.autograd.grad(total, p))


def check(found: Step, expected: Dense, tolerance: float) -> None:
    for ours, theirs in zip(found.loss, expected.loss, strict=True):
        assert ours.item() == pytest.approx(theirs.item(), rel=tolerance, abs=tolerance)
    assert len(found.gradients) == len(expected.gradients)
    for ours, theirs in zip(found.gradients, expected.gradients, strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm() + 1e-12


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@DEAD
def test_batch_top_k_is_that_of_autograd(
    name: str, dtype: torch.dtype, tolerance: float, device: str
) -> None:
    chosen = case(name, dtype, device)
    found = batch_top_k.step(chosen.parameters, chosen.x, AIMS, chosen.dead, None)
    expected = dense(chosen, lambda pre, _: among(pre, K))
    check(found, expected, tolerance)
    v, dv = chosen.parameters.decoder_weight, expected.gradients[2]
    torch.testing.assert_close(found.radial, (v * dv).sum(1), rtol=1e-4, atol=1e-5)


@DEAD
def test_nested_prefixes_are_those_of_autograd(name: str, device: str) -> None:
    chosen = case(name, device=device)
    found = matryoshka.step(chosen.parameters, chosen.x, AIMS, chosen.dead, None, PREFIXES)
    check(found, dense(chosen, lambda pre, _: among(pre, K), PREFIXES), 1e-10)


def test_one_prefix_is_batch_top_k() -> None:
    chosen = case("some dead")
    one = matryoshka.step(chosen.parameters, chosen.x, AIMS, chosen.dead, None, (M,))
    other = batch_top_k.step(chosen.parameters, chosen.x, AIMS, chosen.dead, None)
    for a, b in zip(one.gradients, other.gradients, strict=True):
        assert torch.equal(a, b)


class Heaviside(torch.autograd.Function):
    """[pre > theta] with the gradient of a ramp for theta."""

    @staticmethod
    def forward(ctx, pre, theta):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(pre, theta)
        return (pre > theta).to(pre.dtype)

    @staticmethod
    def backward(ctx, upstream):  # type: ignore[no-untyped-def]
        pre, theta = ctx.saved_tensors
        near = ((pre - theta).abs() < WIDTH / 2).to(pre.dtype)
        return torch.zeros_like(pre), (-near / WIDTH * upstream).sum(0)


class Jump(torch.autograd.Function):
    """pre [pre > theta] with the gradient of a ramp for theta."""

    @staticmethod
    def forward(ctx, pre, theta):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(pre, theta)
        return pre * (pre > theta)

    @staticmethod
    def backward(ctx, upstream):  # type: ignore[no-untyped-def]
        pre, theta = ctx.saved_tensors
        near = ((pre - theta).abs() < WIDTH / 2).to(pre.dtype)
        return upstream * (pre > theta), (-theta / WIDTH * near * upstream).sum(0)


WIDTH = 0.7 * 0.8  # of the mean threshold below


@pytest.mark.parametrize("name", ["plain", "batch of one", "some dead", "silent latents", "nothing positive"])
def test_jump_relu_is_that_of_autograd(name: str, device: str) -> None:
    plain = case(name, device="cpu")
    theta = torch.linspace(0.4, 1.2, M, dtype=torch.float64)
    chosen = to(Case(plain.parameters, plain.x, plain.dead), device)
    parameters = Thresholded(*chosen.parameters, theta.to(device))
    chosen = chosen._replace(parameters=parameters)  # type: ignore[arg-type]
    found = jump_relu.step(parameters, chosen.x, AIMS, chosen.dead, None, sparsity_weight=0.3, jump_width=0.7)
    expected = dense(chosen, Jump.apply, extra=0.3)
    check(found, expected, 1e-9)
    if name == "plain":
        assert found.gradients[4].abs().max() > 0


@pytest.mark.parametrize(("n", "m", "k"), [(6, 40, 4), (1, 7, 3), (5, 13, 13), (4, 30, 1), (3, 48, 2)])
def test_the_strongest_of_a_batch(n: int, m: int, k: int) -> None:
    pre = torch.randn(n, m, generator=torch.Generator().manual_seed(n))
    found = among_all(pre, Objective(k, 1.0, 0, 0, 1))
    dense = torch.zeros(n, m)
    dense[found.row, found.latent] = found.value
    assert torch.equal(dense, among(pre, k))
    assert (found.row.diff() >= 0).all()
    half = among_all(pre.bfloat16(), Objective(k, 1.0, 0, 0, 1))
    assert half.value.dtype == torch.float32
    assert len(half.value) == len(found.value)


def test_parameters_are_four_unless_there_are_thresholds() -> None:
    chosen = case("plain")
    found = batch_top_k.step(chosen.parameters, chosen.x, AIMS, None, None)
    assert isinstance(found.gradients, Parameters)
    assert found.gradients.encoder_weight.shape == (M, D)
