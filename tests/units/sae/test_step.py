"""The sparse step against a dense one by autograd."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from reliance.units.sae import step as steps
from reliance.units.sae.sparse import Parameters
from reliance.units.sae.step import Loss, Objective, knows_bf16, step, update

D, M, K = 7, 40, 4
AIMS = Objective(k=K, power=3.7, scale_weight=0.1, aux_weight=0.25, aux_k=3)


class Case(NamedTuple):
    parameters: Parameters
    x: Tensor
    dead: Tensor | None


def draw(seed: int = 0, batch: int = 9, dtype: torch.dtype = torch.float64, m: int = M) -> Case:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    decoder = torch.nn.functional.normalize(normal(m, D), dim=1)
    p = Parameters(decoder + 0.3 * normal(m, D), 0.3 * normal(m), decoder, normal(D))
    return Case(Parameters(*(t.to(dtype) for t in p)), (normal(batch, D) + 1).to(dtype), None)


def case(name: str, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Case:
    p, x, _ = draw(dtype=dtype)
    dead = None
    if name == "batch of one":
        x = x[:1]
    elif name == "silent latents":
        p.encoder_bias[::3] = -100
    elif name == "few positive":
        p.encoder_bias[:] = -2.5
    elif name == "nothing positive":
        p.encoder_bias[:] = -100
    elif name == "ties":
        for tensor in p[:3]:
            tensor[8:16] = tensor[7]
        p.encoder_bias[7:16] = 4.0
    elif name == "some dead":
        p.encoder_bias[[3, 11, 17, 30, 31]] = -1.0
        dead = torch.tensor([3, 11, 17, 30, 31])
    elif name == "fewer dead than aux_k":
        dead = torch.tensor([5])
    elif name == "dead and silent":
        p.encoder_bias[:20] = -100
        dead = torch.arange(22)
    elif name == "padding beside the first dead latent":
        p.encoder_bias[:20] = -100
        p.encoder_bias[0] = 6.0
        dead = torch.arange(6)
    elif name == "none dead":
        dead = torch.zeros(0, dtype=torch.int64)
    return to(Case(p, x, dead), device)


def to(case: Case, device: str) -> Case:
    p, x, dead = case
    return Case(
        Parameters(*(t.to(device) for t in p)), x.to(device), None if dead is None else dead.to(device)
    )


CASES = [
    "plain", "batch of one", "silent latents", "few positive", "nothing positive", "ties", "some dead",
    "fewer dead than aux_k", "dead and silent", "padding beside the first dead latent", "none dead",
]  # fmt: skip


def kept(pre: Tensor, k: int) -> Tensor:
    """relu(pre) with all but the k largest of each row set to zero, low indices first, dense."""
    order = pre.detach().relu().argsort(dim=1, descending=True, stable=True)[:, :k]
    return pre.relu() * torch.zeros_like(pre).scatter_(1, order, 1.0)


def dense(case: Case, aims: Objective) -> tuple[Loss, Parameters]:
    p = Parameters(*(t.clone().requires_grad_() for t in case.parameters))
    pre = (case.x - p.bias) @ p.encoder_weight.T + p.encoder_bias
    xhat = kept(pre, aims.k) @ p.decoder_weight + p.bias
    unit, found = (t / t.norm(dim=1, keepdim=True) for t in (case.x, xhat))
    direction = (unit - found).square().sum(1).mean()
    scale = aims.scale_weight * (case.x - xhat).square().sum(1).mean() / aims.power
    auxiliary = torch.zeros_like(scale)
    if case.dead is not None and len(case.dead):
        rest = (case.x - xhat).detach()
        rhat = kept(pre[:, case.dead], min(aims.aux_k, len(case.dead))) @ p.decoder_weight[case.dead]
        auxiliary = aims.aux_weight * (rest - rhat).square().sum(1).mean() / rest.square().sum(1).mean()
    total = direction + scale + auxiliary
    return Loss(total, direction, scale, auxiliary), Parameters(*torch.autograd.grad(total, list(p)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_are_those_of_autograd(
    name: str, dtype: torch.dtype, tolerance: float, device: str
) -> None:
    chosen = case(name, dtype, device)
    found = step(chosen.parameters, chosen.x, AIMS, chosen.dead)
    loss, gradients = dense(chosen, AIMS)
    for ours, theirs in zip(found.loss, loss, strict=True):
        assert ours.item() == pytest.approx(theirs.item(), rel=tolerance, abs=tolerance)
    for field, ours, theirs in zip(Parameters._fields, found.gradients, gradients, strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm(), field
    assert (found.loss.auxiliary > 0) == (chosen.dead is not None and len(chosen.dead) > 0)


@pytest.mark.parametrize("name", CASES)
def test_an_auxiliary_loss_by_products_over_all_dead_latents_has_the_gradients_of_autograd(
    name: str, device: str
) -> None:
    """The form of the auxiliary term that a buffer of lower precision than x chooses."""
    chosen = case(name, device=device)
    buffer = torch.empty(len(chosen.x), M, dtype=torch.float32, device=device)
    found = step(chosen.parameters, chosen.x, AIMS, chosen.dead, buffer)
    loss, gradients = dense(chosen, AIMS)
    assert found.loss.auxiliary.item() == pytest.approx(loss.auxiliary.item(), rel=1e-5)
    for field, ours, theirs in zip(Parameters._fields, found.gradients, gradients, strict=True):
        assert ours.dtype == torch.float64
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm(), field
    radial = (gradients.decoder_weight * chosen.parameters.decoder_weight).sum(1)
    torch.testing.assert_close(found.radial, radial, rtol=1e-5, atol=1e-5 * float(radial.abs().max()))


@pytest.mark.parametrize("name", CASES)
def test_many_dead_latents_take_the_same_products_in_full_precision(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = case(name)
    entries = step(chosen.parameters, chosen.x, AIMS, chosen.dead)
    monkeypatch.setattr(steps, "_FEW", 1)
    monkeypatch.setattr(steps, "_CROWDED", 1 << 20)
    taken: list[int] = []
    products = steps._dense_auxiliary

    def counted(*arguments: Any) -> Any:
        taken.append(1)
        return products(*arguments)

    monkeypatch.setattr(steps, "_dense_auxiliary", counted)
    found = step(chosen.parameters, chosen.x, AIMS, chosen.dead)
    assert bool(taken) == (chosen.dead is not None and len(chosen.dead) > 0)
    for ours, theirs in zip(
        (*found.gradients, found.radial), (*entries.gradients, entries.radial), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_radial_part_and_fired_latents(name: str) -> None:
    chosen = case(name)
    found = step(chosen.parameters, chosen.x, AIMS, chosen.dead)
    radial = (found.gradients.decoder_weight * chosen.parameters.decoder_weight).sum(1)
    torch.testing.assert_close(found.radial, radial, rtol=1e-10, atol=1e-12)
    pre = (chosen.x - chosen.parameters.bias) @ chosen.parameters.encoder_weight.T
    active = kept(pre + chosen.parameters.encoder_bias, K)
    assert torch.equal(found.fired, (active > 0).any(0))
    xhat = active @ chosen.parameters.decoder_weight + chosen.parameters.bias
    assert found.error.item() == pytest.approx((chosen.x - xhat).square().sum(1).mean().item())


def test_the_auxiliary_loss_reaches_latents_that_nothing_else_reaches() -> None:
    chosen = case("some dead")
    chosen.parameters.encoder_bias[torch.arange(M) != 11] += 3  # 11 never makes it into the top k
    without = step(chosen.parameters, chosen.x, AIMS, None).gradients
    found = step(chosen.parameters, chosen.x, AIMS, torch.tensor([11])).gradients
    assert not without.encoder_weight[11].any()
    assert found.encoder_weight[11].any()
    assert found.decoder_weight[11].any()


def test_a_weight_of_zero_switches_the_auxiliary_loss_off() -> None:
    chosen = case("some dead")
    off = AIMS._replace(aux_weight=0.0)
    for ours, theirs in zip(
        step(chosen.parameters, chosen.x, off, chosen.dead).gradients,
        step(chosen.parameters, chosen.x, AIMS, None).gradients,
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_all_latents_may_be_active() -> None:
    p, x, _ = draw(m=5)
    aims = AIMS._replace(k=5)
    found = step(p, x, aims).gradients
    _, gradients = dense(Case(p, x, None), aims)
    for ours, theirs in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_training_steps_are_those_of_a_dense_loop(clip: float | None, device: str) -> None:
    """Ten steps of AdamW with projected, clipped gradients and renormalised rows."""
    chosen = case("some dead", device=device)
    ours = Parameters(*(t.clone() for t in chosen.parameters))
    theirs = Parameters(*(t.clone() for t in chosen.parameters))
    settings = {"lr": 1e-2, "weight_decay": 0.1, "eps": 1e-7}
    sparse = torch.optim.AdamW(list(ours), fused=True, **settings)
    reference = torch.optim.AdamW(list(theirs), foreach=False, fused=False, **settings)
    for i in range(10):
        x = draw(seed=i).x.to(device)
        update(ours, sparse, step(ours, x, AIMS, chosen.dead), clip)
        _, gradients = dense(Case(theirs, x, chosen.dead), AIMS)
        v, dv = theirs.decoder_weight, gradients.decoder_weight
        gradients = gradients._replace(decoder_weight=dv - (dv * v).sum(1, keepdim=True) * v)
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient * min(1.0, float(clip / norm)) if clip else gradient
        reference.step()
        v /= v.norm(dim=1, keepdim=True)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        ours.decoder_weight.norm(dim=1), torch.ones(M, dtype=torch.float64, device=device)
    )


def test_a_product_in_bfloat16_gives_nearly_the_same_step(device: str) -> None:
    """The gradients of the latents that both choose point the same way; everything else is float32."""
    g = torch.Generator().manual_seed(0)
    decoder = torch.nn.functional.normalize(torch.randn(200, 32, generator=g), dim=1)
    p = Parameters(decoder.clone(), torch.zeros(200), decoder, torch.zeros(32))
    chosen = torch.rand(64, 200, generator=g).topk(4).indices
    x = torch.zeros(64, 200).scatter(1, chosen, 1 + torch.rand(64, 4, generator=g)) @ decoder
    p, x, dead = to(Case(p, x, torch.arange(150, 200)), device)
    exact = step(p, x, AIMS, dead)
    fast = step(p, x, AIMS, dead, torch.empty(64, 200, dtype=torch.bfloat16, device=device))
    for name in ("encoder_weight", "encoder_bias", "decoder_weight", "bias"):
        one, other = (getattr(found.gradients, name) for found in (exact, fast))
        assert other.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.99
    assert fast.loss.total.item() == pytest.approx(exact.loss.total.item(), rel=0.02)
    v, dv, de = (
        p.decoder_weight[dead],
        *(getattr(fast.gradients, name)[dead] for name in ("decoder_weight", "encoder_bias")),
    )
    torch.testing.assert_close(fast.radial[dead], (v * dv).sum(1), rtol=0, atol=0.01 * float(dv.abs().max()))
    assert (de - exact.gradients.encoder_bias[dead]).norm() < 0.05 * exact.gradients.encoder_bias[dead].norm()


@pytest.mark.parametrize(
    ("text", "knows"),
    [("flags : avx2 fma", False), ("flags : avx512f avx512_bf16", True), ("Features : asimd bf16", True)],
)
def test_a_cpu_knows_bfloat16_if_it_lists_it(text: str, knows: bool, tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    assert knows_bf16(listed), "no list, no verdict"
    listed.write_text(text)
    assert knows_bf16(listed) == knows
