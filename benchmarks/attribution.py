"""Attribution of all active latents, and the mining of failures, against the obvious ways.

    python benchmarks/attribution.py                           # small: 1,024 images
    python benchmarks/attribution.py --images 16384 --stage-images 131072
    python benchmarks/attribution.py --whole --classes 1000    # ImageNet's 1,281,167 images, 5 GB on disk
    python benchmarks/attribution.py --device cuda --images 65536
    python benchmarks/attribution.py --families                # mining with families, beside without
    python benchmarks/attribution.py --families --whole --classes 1000   # every fifth image of ImageNet's

Exact leave-one-out and act x grad of every image's own class, in closed form, against autograd (act x grad
only) and against evaluating the head without each latent in turn (leave-one-out only); the floor is reading
the k decoder rows of an image once. Mining is one counting pass over the images of other classes that score
like a class, against autograd for these pairs alone; its floor is y of all classes. Then the stages run in
processes of their own, at two sizes, and are extrapolated to 1.28 M images with one class of 1,000 each
(goals on 2 cores: 8 minutes; y of all and mining of every fifth 3 minutes; 6 GB). Needs torch, numpy and
safetensors; without pandas and zarr the stages are left out. Differences to the alternatives are printed.

With --families only this, in a world whose latents have families of three levels and fire together: "with" is
the stage `mine_families` as shipped, by contrastive relevance: it mines latents and families and measures by
itself what it expects. "without" is all that mining latents alone, by plain relevance, takes from the same
codes: `attribute_subset` (the attributions of the images that are mined, which some pages read as well),
`expectations` and `mine_outliers`. The stages run in turn,
--rounds times (once with --whole); costs are medians, as is the ratio within rounds (goal: at most 1.5).
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch.nn.functional import embedding_bag

from clock import IMAGENET, Cost, alone, compare, machine, parser, rounds, table
from made import Kindred, World
from reliance.failures.scan import Lines, Miner, Tally
from reliance.tails import relevance as closed
from reliance.tails.head_tail import HeadTail

STEP = 512  # images of an alternative at a time
SHARE = 8  # alternatives see one image in so many
TARGETS = {
    "attribute_split": 1,
    "outputs": 1,
    "attribute_subset": 5,
    "expectations": 5,
    "mine_outliers": 5,
}  # every n-th image
MINED = TARGETS["mine_outliers"]
WITHOUT, WITH = ("attribute_subset", "expectations", "mine_outliers"), "mine_families"


class Setting(NamedTuple):
    """Made images on the device, with the tables."""

    tail: HeadTail
    norm: torch.Tensor  # bias of the LayerNorm
    x: torch.Tensor  # [n, d]
    values: torch.Tensor  # [n, k]
    indices: torch.Tensor  # [n, k]
    label: torch.Tensor  # [n]

    @property
    def tables(self) -> closed.LatentTables:
        """What the head makes of the decoder."""
        return self.tail.tables

    @property
    def prompts(self) -> closed.PromptTables:
        """What prompts add."""
        return self.tail.texts

    def part(self, start: int, stop: int) -> "Setting":
        """Images [start, stop)."""
        names = ("x", "values", "indices", "label")
        return self._replace(**{name: getattr(self, name)[start:stop] for name in names})


def prepare(world: World, device: str) -> Setting:
    """Tables and one block of images."""
    tail = HeadTail(world.head, world.decoder, world.text, device)
    block = world.block(0, world.images)
    arrays = (world.head.ln_bias, block.x, block.values, block.indices, block.label)
    return Setting(tail, *(torch.as_tensor(a).to(device) for a in arrays))


def in_closed_form(s: Setting) -> list[torch.Tensor]:
    """act x grad and leave-one-out [n, k]."""
    scores, rows = s.tail.score(s.x, s.values, s.indices), torch.arange(len(s.x), device=s.x.device)
    return [scores.relevance(form, rows, s.label) for form in closed.FORMS]


def head(s: Setting, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """y of class tokens x [..., d] and texts [..., p], as torch computes it."""
    z = torch.nn.functional.layer_norm(x, x.shape[-1:], s.tables.weight, s.norm, s.tables.eps)
    return torch.nn.functional.cosine_similarity(z @ s.tables.projection, text, dim=-1)


def by_autograd(s: Setting, rows: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """act x grad [q, k] of pairs of an image and a class."""
    a = s.values[rows].requires_grad_()
    total = torch.nn.functional.embedding_bag(
        s.indices[rows], s.tables.decoder, per_sample_weights=a, mode="sum"
    )
    x = s.x[rows] + total - total.detach()
    y = head(s, x, s.prompts.text[classes])
    return a.detach() * torch.autograd.grad(y.sum(), a)[0]


def by_deletion(s: Setting) -> torch.Tensor:
    """Leave-one-out [n, k] by the head at every x - a_j v_j."""
    text = s.prompts.text[s.label]
    without = s.x[:, None] - s.values[..., None] * s.tables.decoder[s.indices]
    return head(s, s.x, text)[:, None] - head(s, without, text[:, None])


def lines(s: Setting) -> Lines:
    """Lines of confidence as expectations would set them, and relevances that one in a thousand exceeds."""
    y = head(s, s.x, s.prompts.text[s.label])
    confident = torch.full((len(s.prompts.text),), torch.inf, device=y.device)
    for c in s.label.unique():
        own = y[s.label == c]
        confident[c] = own.mean() - 1.5 * own.std() if len(own) > 1 else torch.inf
    r = in_closed_form(s)[0].flatten()
    line = r[: 1 << 20].quantile(0.999)
    return Lines(confident, line.expand(s.prompts.along.shape).contiguous())


def attributing(s: Setting) -> dict[str, tuple[Callable[[], object], int]]:
    """What is timed of own classes, and over how many images."""
    n = len(s.x)
    few = s.part(0, max(1, n // SHARE))

    def in_steps(one: Callable[[Setting], object], step: int) -> Callable[[], object]:
        return lambda: [one(few.part(a, a + step)) for a in range(0, len(few.x), step)]

    def own(part: Setting) -> torch.Tensor:
        return by_autograd(part, torch.arange(len(part.x), device=part.x.device), part.label)

    return {
        "closed form, both": (lambda: in_closed_form(s), n),
        "reading the rows once": (lambda: embedding_bag(s.indices, s.tables.decoder, mode="sum"), n),
        "autograd, act x grad": (in_steps(own, STEP), len(few.x)),
        "head without each latent": (in_steps(by_deletion, STEP // SHARE), len(few.x)),
    }


def mining(s: Setting, world: World) -> tuple[dict[str, tuple[Callable[[], object], int]], float]:
    """What is timed of mining, over how many images; and pairs of an image and a class per image."""
    block, n = world.block(0, world.images), len(s.x)
    miner = Miner(s.tail, lines(s), "act_x_grad")
    terms = closed.image_terms(s.tables, s.x, s.values, s.indices)
    confident = closed.outputs(terms, s.prompts) > miner.lines.confident
    confident[torch.arange(n, device=s.x.device), s.label] = False
    rows, classes = confident[: max(1, n // SHARE)].nonzero(as_tuple=True)
    tally = Tally.zeros(tuple(s.prompts.along.shape), s.x.device)

    def autograd() -> list[torch.Tensor]:
        pairs = zip(rows.split(STEP), classes.split(STEP), strict=True)
        return [by_autograd(s, i, c) for i, c in pairs]

    actions = {
        "counting pass": (lambda: miner.count(block, tally), n),
        "y of all classes": (lambda: closed.outputs(terms, s.prompts), n),
        "autograd of these pairs": (autograd, max(1, n // SHARE)),
    }
    return actions, float(confident.sum()) / n


def measure(actions: dict[str, tuple[Callable[[], object], int]], options: argparse.Namespace) -> None:
    """Print times per image; the first action is ours."""
    times = rounds({name: action for name, (action, _) in actions.items()}, options.rounds, options.device)
    compare(times, {name: count for name, (_, count) in actions.items()})


def differences(s: Setting) -> None:
    """Print the largest differences to the alternatives, as shares of the largest relevance."""
    few = s.part(0, 32)
    gradient, exact = in_closed_form(few)
    grad = by_autograd(few, torch.arange(len(few.x), device=few.x.device), few.label)
    pairs = ("autograd", gradient, grad), ("deletion", exact, by_deletion(few))
    words = [f"to {n} {float((a - b).abs().max() / b.abs().max()):.1e}" for n, a, b in pairs]
    print(f"largest difference, of the largest relevance: {', '.join(words)}")


def stages(options: argparse.Namespace) -> None:
    """Run the stages at two sizes, and print what ImageNet would take; or once, at its size."""
    if options.whole:
        rows = [("stage", "images", "seconds", "CPU seconds", "peak GiB")]
        for name, cost in run_stages(made(World, options, IMAGENET), options, MINED)[0].items():
            cells = (f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{cost.peak:.2f}")
            rows.append((name, f"{IMAGENET // TARGETS[name]:,}", *cells))
    else:
        rows = extrapolated(options)
    table(rows)
    print("goals: attribute_split 8 minutes; the others together 3 minutes; 6 GB")


def made(kind: type[World], options: argparse.Namespace, images: int) -> World:
    """Made images and what they are explained by."""
    return kind(images, options.classes, options.d, options.p, options.m, options.k)


def run_stages(
    world: World,
    options: argparse.Namespace,
    every_nth: int = 1,
    names: Iterable[str] = tuple(TARGETS),
    turns: int = 1,
) -> list[dict[str, Cost]]:
    """Stages over made images, one after the other, each in a process of its own; one entry per turn."""
    import stages as all_stages

    with tempfile.TemporaryDirectory() as folder:
        all_stages.write(world, Path(folder))
        place = all_stages.Run(Path(folder), options.device, options.threads, options.block_rows, every_nth)
        return [
            {name: alone(getattr(all_stages, name), place, device=options.device) for name in names}
            for _ in range(turns)
        ]


def families(options: argparse.Namespace) -> None:
    """Print what mining takes with families and without, and the one over the other."""
    images, every_nth = (IMAGENET, MINED) if options.whole else (options.stage_images, 1)
    world, turns = made(Kindred, options, images), 1 if options.whole else options.rounds
    found = run_stages(world, options, every_nth, (*WITHOUT, WITH), turns)
    rows = [("stage", "seconds", "CPU seconds", "peak GiB")]
    for name in found[0]:
        seen = (median(getattr(turn[name], field) for turn in found) for field in ("wall", "cpu", "peak"))
        rows.append((name, *(f"{number:.2f}" for number in seen)))
    sizes = -(-images // every_nth), options.classes, int(world.levels.max()) + 1
    print("{:,} images, {:,} classes, {:,} families".format(*sizes))
    table(rows)
    for names in (WITHOUT, WITHOUT[1:]):
        shares = [
            median(getattr(turn[WITH], f) / sum(getattr(turn[n], f) for n in names) for turn in found)
            for f in ("wall", "cpu")
        ]
        print(f"{WITH} over {' + '.join(names)}: {shares[0]:.2f} of seconds, {shares[1]:.2f} of CPU seconds")


def extrapolated(options: argparse.Namespace) -> list[tuple[str, ...]]:
    """Rows of a table: costs at half of the images and at all, and minutes for ImageNet from their slope."""
    sizes = options.stage_images // 2, options.stage_images
    half, whole = (run_stages(made(World, options, n), options)[0] for n in sizes)
    head = [f"{n:,}: s, CPU s" for n in sizes]
    rows = [("stage", *head, "peak GiB", "extrapolated to", "minutes", "CPU minutes")]
    for name, first in half.items():
        second, count = whole[name], IMAGENET // TARGETS[name]
        more = (count - sizes[1]) / (sizes[1] - sizes[0])
        totals = (
            getattr(second, f) + more * (getattr(second, f) - getattr(first, f)) for f in ("wall", "cpu")
        )
        cells = [f"{c.wall:.1f}, {c.cpu:.1f}" for c in (first, second)]
        rows.append((name, *cells, f"{second.peak:.2f}", f"{count:,}", *(f"{t / 60:.1f}" for t in totals)))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    sizes = {"images": 1024, "stage_images": 8192, "block_rows": 16384, "classes": 100}
    found = parser(__doc__, **sizes, d=1024, p=768, m=30000, k=64)
    found.add_argument("--whole", action="store_true", help="run the stages at ImageNet's size")
    found.add_argument("--families", action="store_true", help="mining with families beside without, no more")
    options = found.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(machine(options))
    if options.families:
        families(options)
    else:
        latents(options)
    print(f"after: {machine(options)}")


def latents(options: argparse.Namespace) -> None:
    """Print what attribution and mining of latents take."""
    world = made(World, options, options.images)
    setting = prepare(world, options.device)
    measure(attributing(setting), options)
    differences(setting)
    actions, pairs = mining(setting, world)
    print(f"\nmining, {pairs:.1f} pairs per image")
    measure(actions, options)
    if importlib.util.find_spec("zarr") and importlib.util.find_spec("pandas"):
        print()
        stages(options)


if __name__ == "__main__":
    main()
