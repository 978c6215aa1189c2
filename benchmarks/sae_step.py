"""Time of one SAE training step: sparse (ours), dense (autograd), and its floor.

    python benchmarks/sae_step.py --batch 1024 --d 1024 --m 30000 --k 64

Each round times all of them one after the other, each right after one of its own, so that a busy machine
slows all alike; medians are printed. A step is loss, gradients, AdamW and renormalised decoder rows. The
floor of a sparse step is the encoder's product in its precision, from float32 weights, and AdamW. --dead
makes a share of the latents dead, which adds the auxiliary loss to all steps, and to the floor its product:
codes of the dead latents times their decoder rows. The loss has three more of that size, for its gradients; a
second floor counts all four. Needs torch, and nothing else of ours. All steps reuse the memory that they
free, as training does.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from clock import machine  # finds src too
from reliance.units.sae.sparse import Parameters, preactivations
from reliance.units.sae.step import Objective, keep_memory, step, update


def dense_loss(p: Parameters, x: torch.Tensor, aims: Objective, dead: torch.Tensor) -> torch.Tensor:
    """The loss of reliance.units.sae.step, with codes as dense matrices."""

    def kept(pre: torch.Tensor, k: int) -> torch.Tensor:
        values, indices = pre.relu().topk(k)
        return torch.zeros_like(pre).scatter(1, indices, values)

    pre = torch.addmm(p.encoder_bias, x - p.bias, p.encoder_weight.T)
    xhat = kept(pre, aims.k) @ p.decoder_weight + p.bias
    unit, found = (torch.nn.functional.normalize(t) for t in (x, xhat))
    loss = (unit - found).square().sum(1).mean()
    loss = loss + aims.scale_weight * (x - xhat).square().sum(1).mean() / aims.power
    if len(dead) and aims.aux_weight:
        rest = (x - xhat).detach()
        rhat = kept(pre[:, dead], min(aims.aux_k, len(dead))) @ p.decoder_weight[dead]
        loss = loss + aims.aux_weight * (rest - rhat).square().sum() / rest.square().sum()
    return loss


def dense_step(
    p: Parameters, optimiser: torch.optim.Optimizer, x: torch.Tensor, aims: Objective, dead: torch.Tensor
) -> None:
    optimiser.zero_grad()
    dense_loss(p, x, aims, dead).backward()
    with torch.no_grad():
        v, dv = p.decoder_weight, p.decoder_weight.grad
        dv.addcmul_((dv * v).sum(1, keepdim=True), v, value=-1)
        optimiser.step()
        v.div_(torch.linalg.vector_norm(v, dim=1, keepdim=True))


def seconds(action: Callable[[], object], device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    wait()
    start = time.perf_counter()
    action()
    wait()
    return time.perf_counter() - start


def in_bf16(action: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """All products in bfloat16, as torch chooses them."""

    def run() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            action()

    return run


def auxiliary(
    p: Parameters, x: torch.Tensor, dead: torch.Tensor, dtype: torch.dtype
) -> list[Callable[[], object]]:
    """The products over dead latents: of their codes [n, q] with their rows, and three of its gradients."""
    code, near = (torch.randn(len(x), len(dead), device=x.device).to(dtype) for _ in range(2))
    rows = p.decoder_weight[dead]
    back, centred = x.to(dtype), x.to(dtype)
    return [
        lambda: code @ rows.to(dtype),
        lambda: back @ rows.to(dtype).T,
        lambda: code.T @ back,
        lambda: near.T @ centred,
    ]


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    decoder = torch.nn.functional.normalize(torch.randn(options.m, options.d), dim=1).to(device)
    bias, zeros = torch.zeros(options.d, device=device), torch.zeros(options.m, device=device)
    ours = Parameters(decoder.clone(), zeros, decoder.clone(), bias)
    theirs = Parameters(*(t.clone().requires_grad_() for t in ours))
    x = torch.randn(options.batch, options.d, device=device)
    dead = torch.arange(int(options.dead * options.m), device=device)
    aims = Objective(options.k, float(options.d), 0.1, 1 / 32, options.aux_k)
    sparse = torch.optim.AdamW(list(ours), lr=1e-4, fused=True)
    dense = torch.optim.AdamW(list(theirs), lr=1e-4, fused=True)
    buffer = torch.empty(options.batch, options.m, device=device)
    half = buffer.bfloat16()
    for parameter in ours:
        parameter.grad = torch.zeros_like(parameter)
    actions: dict[str, Callable[[], object]] = {
        "AdamW": sparse.step,
        "encoder product": lambda: preactivations(x, ours, buffer),
        "its bf16 product": lambda: preactivations(x, ours, half),
        "sparse step": lambda: update(ours, sparse, step(ours, x, aims, dead, buffer), 1.0),
        "its bf16 step": lambda: update(ours, sparse, step(ours, x, aims, dead, half), 1.0),
        "dense step": lambda: dense_step(theirs, dense, x, aims, dead),
        "its bf16 form": in_bf16(lambda: dense_step(theirs, dense, x, aims, dead), device),
    }
    if len(dead):
        for name, dtype in (("auxiliary", torch.float32), ("auxiliary in bf16", torch.bfloat16)):
            forward, *gradients = auxiliary(ours, x, dead, dtype)
            actions[f"{name} product"] = forward
            actions[f"{name} gradients"] = lambda parts=gradients: [part() for part in parts]
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(options.rounds + 1):
        for name, action in actions.items():
            action()  # memory is found among what this one freed, as from step to step of a training
            elapsed = seconds(action, device)
            if turn:  # the first round warms up
                times[name].append(elapsed)
    return {name: median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (
        ("batch", 1024),
        ("d", 1024),
        ("m", 30000),
        ("k", 64),
        ("aux-k", 512),
        ("rounds", 5),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dead", type=float, default=0.0, help="share of dead latents")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    print(machine(options))
    print(", ".join(f"{name} {getattr(options, name)}" for name in ("batch", "d", "m", "k", "dead")))
    found = measure(options)
    for name, value in found.items():
        print(f"{name:27s} {value * 1e3:9.1f} ms")
    for kind, product, extra in (
        ("sparse step", "encoder product", "auxiliary"),
        ("its bf16 step", "its bf16 product", "auxiliary in bf16"),
    ):
        floor = found["AdamW"] + found[product] + found.get(f"{extra} product", 0)
        whole = floor + found.get(f"{extra} gradients", 0)
        faster, half = (found[name] / found[kind] for name in ("dense step", "its bf16 form"))
        print(f"{kind:16s} {faster:6.2f} x as fast as dense, {half:.2f} x as fast as dense in bf16,", end=" ")
        print(f"takes {found[kind] / floor:.2f} x its floor", end="")
        print(f", {found[kind] / whole:.2f} x with the auxiliary gradients" if whole > floor else "")
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
