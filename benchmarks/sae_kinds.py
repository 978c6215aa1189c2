"""Time of one training step of each kind of SAE: over active latents only (ours), and dense by autograd.

    python benchmarks/sae_kinds.py --batch 1024 --d 1024 --m 30000 --k 64

Each round times all of them one after the other, each right after one of its own, so that a busy machine
slows all alike; medians are printed, and ratios of one run. Both sides have the same loss, AdamW and
renormalised decoder rows; no latent is dead unless --dead says so. The dense form of nested prefixes decodes
each prefix from the one before. Parameters of both are those of a start on random data, with thresholds at
which k latents fire on average.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from clock import machine  # finds src too
from reliance.units.sae import batch_top_k, jump_relu, matryoshka
from reliance.units.sae.ragged import among_all
from reliance.units.sae.sparse import Parameters, Thresholded, preactivations
from reliance.units.sae.step import Objective, Step, keep_memory, update
from sae_step import seconds

SPARSITY, WIDTH = 0.1, 0.1
Code = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Ramp(torch.autograd.Function):
    """pre [pre > theta], and the gradient of a ramp for theta."""

    @staticmethod
    def forward(ctx, pre, theta):
        ctx.save_for_backward(pre, theta)
        return pre * (pre > theta)

    @staticmethod
    def backward(ctx, upstream):
        pre, theta = ctx.saved_tensors
        width = WIDTH * theta.mean()
        near = (pre - theta).abs() < width / 2
        return upstream * (pre > theta), (upstream * near).sum(0) * (-theta / width)


class Count(torch.autograd.Function):
    """Number of active latents per row, with that gradient."""

    @staticmethod
    def forward(ctx, pre, theta):
        ctx.save_for_backward(pre, theta)
        return (pre > theta).sum(1).float()

    @staticmethod
    def backward(ctx, upstream):
        pre, theta = ctx.saved_tensors
        width = WIDTH * theta.mean()
        near = (pre - theta).abs() < width / 2
        return None, (upstream[:, None] * near).sum(0) / -width


def among(pre: torch.Tensor, k: int) -> torch.Tensor:
    values, indices = pre.relu().flatten().topk(k * len(pre), sorted=False)
    return torch.zeros_like(pre).flatten().scatter(0, indices, values).view_as(pre)


def dense_loss(
    p: list[torch.Tensor], x: torch.Tensor, aims: Objective, dead: torch.Tensor, prefixes: tuple[int, ...]
) -> torch.Tensor:
    pre = torch.addmm(p[1], x - p[3], p[0].T)
    a = Ramp.apply(pre, p[4]) if len(p) > 4 else among(pre, aims.k)
    xhat, loss, start = p[3], torch.zeros(()), 0
    for size in prefixes:
        xhat = xhat + a[:, start:size] @ p[2][start:size]
        unit, found = (torch.nn.functional.normalize(t) for t in (x, xhat))
        part = (unit - found).square().sum(1).mean()
        part = part + aims.scale_weight * (x - xhat).square().sum(1).mean() / aims.power
        loss, start = loss + part / len(prefixes), size
    if len(dead):
        rest = (x - xhat).detach()
        values, indices = pre[:, dead].relu().topk(min(aims.aux_k, len(dead)))
        rhat = torch.zeros_like(pre[:, dead]).scatter(1, indices, values) @ p[2][dead]
        loss = loss + aims.aux_weight * (rest - rhat).square().sum() / rest.square().sum()
    if len(p) > 4:
        loss = loss + SPARSITY * (Count.apply(pre, p[4]).mean() / aims.k - 1) ** 2
    return loss


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each."""
    torch.manual_seed(0)
    decoder = torch.nn.functional.normalize(torch.randn(options.m, options.d), dim=1)
    x = torch.randn(options.batch, options.d)
    plain = Parameters(decoder.clone(), torch.zeros(options.m), decoder, torch.zeros(options.d))
    aims = Objective(options.k, float(options.d), 0.1, 1 / 32, options.aux_k)
    theta = among_all(preactivations(x, plain), aims).value.min()
    dead = torch.arange(int(options.dead * options.m))
    prefixes = tuple(options.m // 2**i for i in (4, 3, 2, 1, 0))
    jump = partial(jump_relu.step, sparsity_weight=SPARSITY, jump_width=WIDTH)
    kinds: dict[str, tuple[Callable[..., Step], tuple[int, ...], bool]] = {
        "batch_top_k": (batch_top_k.step, (options.m,), False),
        "matryoshka": (partial(matryoshka.step, prefixes=prefixes), prefixes, False),
        "jump_relu": (jump, (options.m,), True),
    }
    buffer = torch.empty(options.batch, options.m)
    actions: dict[str, Callable[[], object]] = {}
    for name, (step, sizes, jumps) in kinds.items():
        if name not in options.kinds:
            continue
        both = []
        for _ in range(2):
            copy = Parameters(*(t.clone() for t in plain))
            both.append(Thresholded(*copy, theta.expand(options.m).clone()) if jumps else copy)
        ours, theirs = both[0], [t.requires_grad_() for t in both[1]]
        sparse = torch.optim.AdamW(list(ours), lr=1e-6, fused=True)
        optimiser = torch.optim.AdamW(theirs, lr=1e-6, fused=True)
        actions[f"{name}, sparse"] = partial(one, ours, sparse, step, x, aims, dead, buffer)
        actions[f"{name}, bf16"] = partial(one, ours, sparse, step, x, aims, dead, buffer.bfloat16())
        actions[f"{name}, dense"] = partial(other, theirs, optimiser, x, aims, dead, sizes)
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(options.rounds + 1):
        for name, action in actions.items():
            action()  # memory is found among what this one freed, as from step to step of a training
            elapsed = seconds(action, torch.device("cpu"))
            if turn:  # the first round warms up
                times[name].append(elapsed)
    return {name: median(found) for name, found in times.items()}


def one(
    p: Parameters | Thresholded,
    optimiser: torch.optim.Optimizer,
    step: Callable[..., Step],
    x: torch.Tensor,
    aims: Objective,
    dead: torch.Tensor,
    buffer: torch.Tensor,
) -> None:
    update(p, optimiser, step(p, x, aims, dead, buffer), 1.0)


def other(
    p: list[torch.Tensor],
    optimiser: torch.optim.Optimizer,
    x: torch.Tensor,
    aims: Objective,
    dead: torch.Tensor,
    prefixes: tuple[int, ...],
) -> None:
    optimiser.zero_grad()
    dense_loss(p, x, aims, dead, prefixes).backward()
    with torch.no_grad():
        v, dv = p[2], p[2].grad
        dv.addcmul_((dv * v).sum(1, keepdim=True), v, value=-1)
        optimiser.step()
        v.div_(torch.linalg.vector_norm(v, dim=1, keepdim=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    shape = (("batch", 1024), ("d", 1024), ("m", 30000), ("k", 64), ("aux-k", 512), ("rounds", 5))
    for name, default in shape:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dead", type=float, default=0.0, help="share of dead latents")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=["batch_top_k", "matryoshka", "jump_relu"])
    options = parser.parse_args()
    options.device = "cpu"
    keep_memory()
    torch.set_num_threads(options.threads)
    print(machine(options))
    print(", ".join(f"{name} {getattr(options, name)}" for name in ("batch", "d", "m", "k", "dead")))
    found = measure(options)
    for name, value in found.items():
        line = f"{name:22s} {value * 1e3:9.1f} ms"
        kind, _, form = name.partition(", ")
        if form != "dense":
            line += f"   {found[f'{kind}, dense'] / value:5.2f} x as fast as dense"
        print(line)
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
