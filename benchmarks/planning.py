"""What `reliance plan` says against made embeddings: bytes that are written, and the largest memory of jobs.

    python benchmarks/planning.py                      # 100,000 images
    python benchmarks/planning.py --images 10000000    # some GB of disk and a CPU for an hour

Narrow embeddings and few latents, so that it is the number of images that costs. Memory is that of one job in
a process of its own, torch and all; a job must not need more than it asks for. Listed is an index of so many
rows; of an embedding what is measured is that a part reads its own rows of it.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from clock import alone, machine, parser, table
from made import World
from reliance.images.slices import read_part
from reliance.plan.outlook import EMBED, ENCODE, Outlook, Shape, outlook, row_bytes
from scaling import size
from stages import Run, encode, top_samples, write

GROUP = 1 << 20  # rows of a group in an index


def read(run: Run, parts: int) -> int:
    """The index as one part of an embedding reads it; its rows."""
    return len(read_part(run.inputs["index"], "train", 0, parts)[0].paths)


def measured(world: World, folder: Path, options, planned: Outlook) -> list[list[str]]:
    """Rows of the table: what was planned, and what it was."""
    write(world, folder)
    run = Run(folder, options.device, options.threads, 16384)
    asked = {step.stage: step for step in planned.steps}
    shape = Shape(options.d, options.p, options.m, options.k)
    rows = [["stage", "planned bytes per image", "measured", "GB asked for", "needed"]]
    costs = {
        EMBED: alone(read, run, planned.parts),
        ENCODE: alone(encode, run),
        "top_samples": alone(top_samples, run),
    }
    stored = {EMBED: folder / "embeddings", ENCODE: folder / "encoded"}
    for name, cost in costs.items():
        each = row_bytes(shape).get(name)
        found = f"{size(stored[name]) / world.images:.1f}" if name in stored else ""
        rows.append([name, str(each or ""), found, f"{asked[name].memory:.1f}", f"{cost.peak * 1.074:.2f}"])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parser(str(__doc__), images=100_000, classes=10, d=32, p=16, m=256, k=8).parse_args(arguments)
    print(machine(options))
    world = World(options.images, options.classes, options.d, options.p, options.m, options.k)
    shape = Shape(options.d, options.p, options.m, options.k, options.classes)
    planned = outlook(options.images, shape, parts=max(1, options.images // GROUP))
    with tempfile.TemporaryDirectory() as name:
        rows = measured(world, Path(name), options, planned)
    sizes = ", ".join(f"{name} {getattr(options, name)}" for name in ("d", "p", "m", "k"))
    print(f"{options.images:,} images in {planned.parts} parts, {sizes}")
    table(rows)


if __name__ == "__main__":
    main()
