"""Time of one SAE training step: ours, and those of the packages overcomplete and SAELens.

    pip install -e '.[bench]'                  # optional: a package that is missing is left out
    python benchmarks/sae_others.py --batch 1024 --d 1024 --m 30000 --k 64
    python benchmarks/sae_others.py --kind matryoshka   # or batch_top_k; overcomplete has no matryoshka

Each round times all steps one after the other, so that a busy machine slows all of them; medians are
printed. Batch, shapes and k are the same, everything is in float32, and all clip the norm of the gradients
at 1. Models, losses and steps of the packages are their own, with their defaults. So the losses differ:

    ours          direction and scale; gradients from active latents only; fused AdamW; decoder rows are given
                  length one after it. bf16: products in bfloat16.
    overcomplete  `train_sae` on one batch, without its logging; fused Adam; dense codes; the dictionary is
                  normalised each time it is read, twice a step; no decoder bias. With the squared error of
                  its README, and with its `top_k_auxiliary_loss`, which decodes half of all latents as well.
    SAELens       `SAETrainer.step`: squared error; Adam as torch chooses it, since its trainer leaves no
                  choice; dense codes; decoder rows are not normalised, their lengths scale pre-activations
                  instead. Sparse: with use_sparse_activations, for which rescale_acts_by_decoder_norm has to
                  be off, as torch has no gradient for both on the CPU.

No latent is dead, so that neither we nor SAELens pay for an auxiliary loss. All three note which latents
fire. Ratios are of time only and say nothing of how well one learns. All steps
reuse the memory that they free, as our training does; --fresh takes new memory from the system each time,
which is how the packages run by themselves.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from unittest.mock import patch

import torch

from clock import Spent, machine, parser, ratio, rounds, table
from reliance.units.sae.sparse import Parameters
from reliance.units.sae.step import Objective, keep_memory, step, update

Actions = dict[str, Callable[[], object]]
OURS = "ours, fp32"


def prefixes(m: int) -> tuple[int, ...]:
    """Sizes of the nested dictionaries of ours and of SAELens, as our settings have them by default."""
    return tuple(m // 2**i for i in (4, 3, 2, 1, 0))


def ours(options: argparse.Namespace, x: torch.Tensor) -> Actions:
    """Our step, as in sae_step.py; both kinds share parameters and optimiser."""
    decoder = torch.nn.functional.normalize(torch.randn(options.m, options.d), dim=1).to(x.device)
    zeros = torch.zeros(options.m, device=x.device)
    parameters = Parameters(decoder.clone(), zeros, decoder, torch.zeros(options.d, device=x.device))
    aims = Objective(options.k, float(options.d), 0.1, 1 / 32, 512)
    optimiser = torch.optim.AdamW(list(parameters), lr=1e-4, fused=True)
    buffer = torch.empty(options.batch, options.m, device=x.device)
    half = buffer.bfloat16()

    own = step
    if options.kind != "top_k":  # these modules need packages that a plain comparison does without
        from reliance.units.sae import batch_top_k, matryoshka

        nested = partial(matryoshka.step, prefixes=prefixes(options.m))
        own = batch_top_k.step if options.kind == "batch_top_k" else nested

    def one(pre: torch.Tensor) -> None:
        update(parameters, optimiser, own(parameters, x, aims, None, pre), 1.0)

    return {OURS: lambda: one(buffer), "ours, bf16": lambda: one(half)}


def overcomplete(options: argparse.Namespace, x: torch.Tensor) -> Actions:
    """The package's TopKSAE or BatchTopKSAE in its `train_sae`; both losses share model and optimiser."""
    import matplotlib.pyplot as plt

    # overcomplete 0.3 calls cm.get_cmap when imported, which newer matplotlib has no longer
    with patch.object(plt.cm, "get_cmap", plt.get_cmap, create=True):
        from overcomplete.sae import BatchTopKSAE, TopKSAE, train_sae
        from overcomplete.sae.losses import top_k_auxiliary_loss
    if options.kind == "matryoshka":
        print("overcomplete has no matryoshka: left out")
        return {}
    kind, k = (TopKSAE, options.k) if options.kind == "top_k" else (BatchTopKSAE, options.k * options.batch)
    sae = kind(options.d, nb_concepts=options.m, top_k=k, device=options.device)
    optimiser = torch.optim.Adam(sae.parameters(), lr=5e-4, fused=True)

    def squared_error(x: torch.Tensor, xhat: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return (x - xhat).square().mean()

    def one(loss: Callable[..., torch.Tensor]) -> None:
        train_sae(sae, [x], loss, optimiser, nb_epochs=1, monitoring=0, device=options.device)

    return {
        "overcomplete, squared error": lambda: one(squared_error),
        "overcomplete, auxiliary loss": lambda: one(top_k_auxiliary_loss),
    }


def sae_lens(options: argparse.Namespace, x: torch.Tensor) -> Actions:
    """The package's SAE of the kind in its `SAETrainer`, with dense codes (its default) and sparse ones."""
    import sae_lens as package
    from sae_lens import SAETrainer
    from sae_lens.config import SAETrainerConfig

    names = {"top_k": "TopK", "batch_top_k": "BatchTopK", "matryoshka": "MatryoshkaBatchTopK"}
    name = f"{names[options.kind]}TrainingSAE"
    nested = {"matryoshka_widths": [*prefixes(options.m)]} if options.kind == "matryoshka" else {}

    def one(**settings: bool) -> Callable[[], object]:
        shape = {"d_in": options.d, "d_sae": options.m, "k": options.k, "device": options.device}
        sae = getattr(package, name)(getattr(package, f"{name}Config")(**shape, **nested, **settings))
        config = SAETrainerConfig(
            total_training_samples=10**9,
            train_batch_size_samples=options.batch,
            lr_end=3e-5,  # required; a tenth of the rate, as its runners set it
            device=options.device,
        )
        trainer = SAETrainer(config, sae, data_provider=iter(()))
        return lambda: trainer.step(x)

    sparse = one(use_sparse_activations=True, rescale_acts_by_decoder_norm=False)
    return {"SAELens, dense": one(), "SAELens, sparse": sparse}


# name on PyPI: name of the module, what is timed
PACKAGES: dict[str, tuple[str, Callable[[argparse.Namespace, torch.Tensor], Actions]]] = {
    "overcomplete": ("overcomplete", overcomplete),
    "sae-lens": ("sae_lens", sae_lens),
}


def measure(options: argparse.Namespace) -> dict[str, list[Spent]]:
    """Time of every step in every round; says which packages take part."""
    torch.manual_seed(0)
    x = torch.randn(options.batch, options.d, device=options.device)
    actions = ours(options, x)
    print(f"torch {torch.__version__}")
    for package, (module, steps) in PACKAGES.items():
        if find_spec(module) is None:
            print(f"{package} is not installed: left out; pip install -e '.[bench]'")
            continue
        print(f"{package} {version(package)}")
        actions |= steps(options, x)
    return rounds(actions, options.rounds, options.device)


def show(times: Mapping[str, Sequence[Spent]]) -> None:
    """Print medians in milliseconds, and the median over rounds of each step over ours in float32."""
    rows: list[Sequence[object]] = [("ms per step", "wall", "CPU", "over ours: wall", "CPU")]
    for name, found in times.items():
        cells = [f"{median(getattr(s, f) for s in found) * 1e3:.1f}" for f in Spent._fields]
        over = [f"{ratio(found, times[OURS], f):.2f}" for f in Spent._fields]
        rows.append((name, *cells, *over))
    table(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__, batch=1024, d=1024, m=30000, k=64)
    found.add_argument("--kind", choices=("top_k", "batch_top_k", "matryoshka"), default="top_k")
    found.add_argument("--fresh", action="store_true", help="new memory from the system for every tensor")
    options = found.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if not options.fresh:
        keep_memory()
    print(machine(options))
    show(measure(options))
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
