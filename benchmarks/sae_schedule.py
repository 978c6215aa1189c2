"""A whole training schedule of an SAE on made embeddings: time, and held-out explained variance.

    python benchmarks/sae_schedule.py                                        # small
    python benchmarks/sae_schedule.py --d 1024 --m 30000 --k 64 --steps 3750  # the paper's 30 epochs

Three kinds of step learn from the same batches: sparse in float32, sparse with the encoder's product in
bfloat16, and dense by autograd (--dense-steps of them, for its time; with -1 all of them, for its explained
variance). Embeddings are sums of some of --atoms directions, with noise. Needs torch and units/sae.
"""

import argparse
import time
from collections.abc import Callable

import torch

from clock import machine  # finds src too
from reliance.units.sae.apply import Applied
from reliance.units.sae.quality import measure_quality
from reliance.units.sae.sparse import Encoder, Parameters, preactivations, top_k
from reliance.units.sae.step import Objective, keep_memory, step, update
from sae_step import dense_step

NOISE, ACTIVE = 0.02, 24


class Made:
    """Endless embeddings [n, d], drawn on the device."""

    def __init__(self, d: int, atoms: int, device: torch.device) -> None:
        g = torch.Generator().manual_seed(0)
        self.atoms = torch.nn.functional.normalize(torch.randn(atoms, d, generator=g), dim=1).to(device)
        self.mean = torch.randn(d, generator=g).to(device) / d**0.5
        self.often = (1 / torch.arange(1, atoms + 1, dtype=torch.float32) ** 0.5).to(device)

    def batch(self, n: int, seed: int) -> torch.Tensor:
        g = torch.Generator(self.atoms.device).manual_seed(seed)
        chosen = torch.multinomial(self.often.expand(n, -1), ACTIVE, generator=g)
        weights = 0.2 + torch.rand(n, ACTIVE, generator=g, device=self.atoms.device)
        x = torch.nn.functional.embedding_bag(chosen, self.atoms, per_sample_weights=weights, mode="sum")
        noise = torch.randn(x.shape, generator=g, device=self.atoms.device)
        return x + self.mean + NOISE * noise


def start(made: Made, m: int) -> Parameters:
    """Random unit rows, the encoder equal to the decoder."""
    g = torch.Generator().manual_seed(1)
    device, d = made.atoms.device, made.atoms.shape[1]
    decoder = torch.nn.functional.normalize(torch.randn(m, d, generator=g), dim=1).to(device)
    bias = made.batch(4096, 10**9).mean(0)
    return Parameters(decoder.clone(), torch.zeros(m, device=device), decoder, bias)


def train(
    made: Made, options: argparse.Namespace, steps: int, kind: str
) -> tuple[float, float, list[torch.Tensor]]:
    """Seconds per step, held-out explained variance, and the parameters."""
    p = start(made, options.m)
    power = float(made.batch(4096, 10**9).square().sum(1).mean())
    aims = Objective(options.k, power, 0.1, 1 / 32, options.aux_k)
    if kind == "dense":
        p = Parameters(*(t.requires_grad_() for t in p))
    optimiser = torch.optim.AdamW(list(p), lr=options.lr, betas=(0.9, 0.999), weight_decay=0.0, fused=True)
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    buffer = torch.empty(options.batch, options.m, dtype=dtype, device=p.bias.device)
    dead = torch.zeros(0, dtype=torch.int64, device=p.bias.device)
    kinds: dict[str, Callable[[torch.Tensor], None]] = {
        "dense": lambda x: dense_step(p, optimiser, x, aims, dead),
        "fp32": lambda x: update(p, optimiser, step(p, x, aims, dead, buffer), None),
        "bf16": lambda x: update(p, optimiser, step(p, x, aims, dead, buffer), None),
    }
    seconds = 0.0
    for i in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = options.lr * 0.1 ** sum(i >= share * options.steps for share in (0.8, 28 / 30))
        x = made.batch(options.batch, i)
        wait(x)
        began = time.perf_counter()
        kinds[kind](x)
        wait(x)
        seconds += time.perf_counter() - began
    held_out = (made.batch(1024, 10**8 + i) for i in range(options.held_out // 1024))
    encoder = Encoder("topk", lambda x, parameters, k: top_k(preactivations(x, parameters), k))
    quality = measure_quality(Applied(encoder, Parameters(*(t.detach() for t in p)), options.k), held_out)
    return seconds / steps, float(quality["explained_variance"]), list(p)


def wait(x: torch.Tensor) -> None:
    """Until the device has done its work."""
    if x.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    sizes = {"d": 256, "m": 4096, "k": 32, "batch": 1024, "steps": 200, "aux-k": 512, "atoms": 3000}
    for name, default in {**sizes, "held-out": 8192, "dense-steps": 20, "threads": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    made = Made(options.d, options.atoms, torch.device(options.device))
    dense = options.steps if options.dense_steps < 0 else options.dense_steps
    found = {}
    print(machine(options))
    print(", ".join(f"{name} {getattr(options, name)}" for name in ("batch", "d", "m", "k")))
    print("step    steps   ms per step  explained variance, held out (- : not all steps)")
    for kind, steps in (("fp32", options.steps), ("bf16", options.steps), ("dense", dense)):
        if steps:
            found[kind], variance, _ = train(made, options, steps, kind)
            whole = f"{variance:.4f}" if steps == options.steps else "-"
            print(f"{kind:6s} {steps:6d} {1e3 * found[kind]:13.1f}  {whole}", flush=True)
    for kind in ("fp32", "bf16"):
        print(f"whole schedule, {kind}: {found[kind] * options.steps / 60:.1f} min", end="")
        print(f"; {found['dense'] / found[kind]:.2f} x as fast as dense" if "dense" in found else "")
    print(f"the floor of a step: sae_step.py; after: {machine(options)}")


if __name__ == "__main__":
    main()
