"""Time and memory of every heavy stage at N, 2N, 4N and 8N images, their slopes, and a plan for large data.

    python benchmarks/scaling.py             # small: N = 500 and a tenth of the latents
    python benchmarks/scaling.py --images 4096 --d 1024 --p 768 --m 30000 --classes 1000

Every stage runs in a process of its own on made artifacts (see made.py), in blocks of N images so that the
smallest run fills one; the faster of --rounds runs counts. Lines are fitted to its time and to its largest
memory; `linear` is the share of the variance of the times that the line explains. The plan extrapolates
the lines of time: it holds for the sizes and the device above it. Memory is not extrapolated: it grows until
the tables of components, or of classes and components, are full; attribution.py --whole has it at ImageNet's
size. Mining is planned over every fifth image. The floor of every stage is reading its input once.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clock import IMAGENET, LAION, Cost, alone, machine, parser, table
from made import World
from stages import STAGES, Run, write

FACTORS = (1, 2, 4, 8)
SUBSET = ("attribute_subset", "expectations", "mine_outliers")  # stages that look at every fifth image
STORED = ("embeddings", "codes", "attributions.parquet")
PART_HOURS = 4.0  # of one job of an embedding or of encoding
STEPS_PER_IMAGE = 30 * 0.1 / 1024  # of the preset `default`
COUNTS = (IMAGENET, LAION)


class Line(NamedTuple):
    """y = start + slope x."""

    start: float
    slope: float
    linear: float  # coefficient of determination

    def at(self, x: float) -> float:
        return max(self.start, 0.0) + self.slope * x


def fit(x: Sequence[float], y: Sequence[float]) -> Line:
    """The least-squares line."""
    slope, start = np.polyfit(x, y, 1)
    rest = np.sum((np.asarray(y) - start - slope * np.asarray(x)) ** 2)
    return Line(float(start), max(float(slope), 0.0), float(1 - rest / max(np.var(y) * len(y), 1e-12)))


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def measure(options: argparse.Namespace) -> tuple[dict[str, list[Cost]], dict[str, float]]:
    """Costs of every stage at every size, and bytes per image of what is stored."""
    costs: dict[str, list[Cost]] = {stage.__name__: [] for stage in STAGES}
    for factor in FACTORS:
        world = World(factor * options.images, options.classes, options.d, options.p, options.m, options.k)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(world, folder)
            run = Run(folder, options.device, options.threads, options.images)
            for stage in STAGES:
                found = (alone(stage, run, device=options.device) for _ in range(options.rounds))
                costs[stage.__name__].append(min(found))
            stored = {name: size(folder / name) / world.images for name in STORED}
    return costs, stored


def show(images: Sequence[int], costs: dict[str, list[Cost]]) -> dict[str, Line]:
    """Print times, memory and slopes; the lines of wall time."""
    lines = {}
    rows = [("seconds, peak GiB", *(f"{n:,}" for n in images), "us per image", "linear", "bytes per image")]
    for name, found in costs.items():
        time, memory = (fit(images, [getattr(c, field) for c in found]) for field in ("wall", "peak"))
        cells = [f"{c.wall:.2f}, {c.peak:.2f}" for c in found]
        grown = f"{memory.slope * 2**30:,.0f}"
        rows.append((name, *cells, f"{time.slope * 1e6:.0f}", f"{time.linear:.3f}", grown))
        lines[name] = time
    table(rows)
    return lines


def plan(lines: dict[str, Line], stored: dict[str, float], options: argparse.Namespace) -> None:
    """Print hours, jobs and bytes for 1.28 M and for 400 M images."""
    rows = [(f"plan, d {options.d}, m {options.m}", *(c for n in COUNTS for c in (f"{n:,}: hours", "jobs")))]
    given = {
        "embed_images": Line(0.0, options.embed_ms / 1000, 1.0),
        "train_sae": Line(0.0, STEPS_PER_IMAGE * options.step_ms / 1000, 1.0),
    }
    total = dict.fromkeys(COUNTS, 0.0)
    for name, time in {**given, **lines}.items():
        cells = []
        for n in COUNTS:
            hours = time.at(n / 5 if name in SUBSET else n) / 3600
            jobs = int(np.ceil(hours / PART_HOURS)) if name in ("embed_images", "encode") else 1
            cells += [f"{hours:.2f}", str(jobs)]
            total[n] += hours
        rows.append((name, *cells))
    rows.append(("all", *(c for n in COUNTS for c in (f"{total[n]:.2f}", ""))))
    for name, each in stored.items():
        cells = [c for n in COUNTS for c in (f"{each * n / 2**30:,.1f} GiB", "")]
        rows.append((f"stored: {name}", *cells))
    table(rows)
    print(f"given: ms per embedding {options.embed_ms}, per SAE step {options.step_ms}")
    print(f"jobs: parts of {PART_HOURS:g} hours")
    print(f"SAE training keeps what it learns from in memory, {2 * options.d} bytes per image")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__, images=500, classes=100, d=256, p=192, m=3000, k=64)
    options.add_argument("--embed-ms", type=float, default=72.0, help="ms per image, from embedding.py")
    options.add_argument("--step-ms", type=float, default=42.0, help="ms per step, from sae_training.py")
    options = options.parse_args(arguments)
    print(machine(options))
    print(", ".join(f"{name} {getattr(options, name)}" for name in ("classes", "d", "p", "m", "k")))
    costs, stored = measure(options)
    lines = show([factor * options.images for factor in FACTORS], costs)
    plan(lines, stored, options)
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
