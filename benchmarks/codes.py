"""Encoding over its encoder product, and the strongest images of every component.

    python benchmarks/codes.py                            # small: 1,024 images encoded, 2 M entries sorted
    python benchmarks/codes.py --images 16384 --top-images 1281167          # ImageNet: 82 M entries
    python benchmarks/codes.py --device cuda --images 262144

Encoding: the whole way from float16 embeddings to stored codes, against the encoder product alone, which is
its floor (goal: at most 1.3 times as long), and against the usual way, dense codes of n x m.
Top samples: `Strongest` against sorting all entries at once, which needs all of them in memory; the floor is
one sort of all keys. The last line is a pass over --top-images in blocks, in a process of its own (goal for
82 M entries: 20 s and 4 GB); making the codes is not counted. Needs torch, numpy and safetensors; without
zarr, codes are not written.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from clock import alone, compare, machine, parser, rounds
from made import World
from reliance.base.rows import Layout, PartRange, PartWriter
from reliance.codes import encode
from reliance.codes.top_samples import Strongest, Top
from reliance.units.protocol import Entries
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import Sae
from reliance.units.sae.sparse import Encoder, Parameters, preactivations, top_k

ENCODER = Encoder("topk", lambda x, parameters, k: top_k(preactivations(x, parameters), k))
COUNT, BLOCK = 100, 16384


def encoding(world: World, device: str) -> dict[str, Callable[[], object]]:
    """What is timed of encoding."""
    zeros, k = np.zeros(len(world.decoder), np.float32), world.k
    sae = Sae(world.decoder, zeros, world.decoder, world.bias, k)
    parameters = Parameters(*(torch.from_numpy(a).to(device) for a in sae.arrays.values()))
    x = world.x(0, world.images)
    step = max(1, encode._ELEMENTS[device] // sae.m)
    blocks = [slice(start, start + step) for start in range(0, len(x), step)]

    def product() -> None:
        for rows in blocks:
            preactivations(torch.from_numpy(x[rows]).to(parameters.bias), parameters)

    def dense() -> None:
        for rows in blocks:
            pre = preactivations(torch.from_numpy(x[rows]).to(parameters.bias), parameters).relu()
            values, indices = pre.topk(k)
            codes = torch.zeros_like(pre).scatter(1, indices, values)
            codes.nonzero().cpu(), codes[codes > 0].half().cpu()

    actions: dict[str, Callable[[], object]] = {}
    if importlib.util.find_spec("zarr"):
        actions["encode and write"] = lambda: write(x, parameters, sae)
    actions["encode_rows"] = lambda: encode.encode_rows(x, Applied(ENCODER, parameters, sae.k))
    return {**actions, "encoder product": product, "dense codes": dense}


def write(x: np.ndarray, parameters: Parameters, sae: Sae) -> None:
    """Encode blocks and store them, as the stage does."""
    layouts = {"values": Layout((sae.k,), "float16"), "indices": Layout((sae.k,), "int32")}
    with tempfile.TemporaryDirectory() as folder:
        rows = PartRange(0, len(x))
        writer = PartWriter(Path(folder) / "part.zarr", "codes", rows, layouts, {}, {}, chunk_rows=BLOCK)
        for start in range(0, len(x), BLOCK):
            values, indices = encode.encode_rows(
                x[start : start + BLOCK], Applied(ENCODER, parameters, sae.k)
            )
            writer.append({"values": values, "indices": indices})
        writer.finish()


def entries(world: World, start: int, stop: int) -> Entries:
    """The entries of images [start, stop)."""
    values, indices = world.code(start, stop)
    return Entries(np.repeat(np.arange(start, stop), world.k), indices.reshape(-1), values.reshape(-1))


def in_blocks(world: World, found: Sequence[Entries]) -> Top:
    """The strongest images of every component, as the stage finds them."""
    kept = Strongest(len(world.decoder), world.images, COUNT, np.dtype(np.float16))
    for block in found:
        kept.add(block)
    return kept.result()


def at_once(found: Entries) -> np.ndarray:
    """The same by sorting all entries: image, component and value of what is kept, [r, 3]."""
    order = np.lexsort((found.image_id, -found.value.astype(np.float32), found.component))
    component = found.component[order]
    first = np.searchsorted(component, component)
    kept = order[np.arange(len(order)) - first < COUNT]
    return np.stack([found.image_id[kept], found.component[kept], found.value[kept]], 1)


def sorting(world: World) -> dict[str, Callable[[], object]]:
    """What is timed of top samples."""
    found = [entries(world, a, min(a + BLOCK, world.images)) for a in range(0, world.images, BLOCK)]
    joined = Entries(*(np.concatenate(column) for column in zip(*found, strict=True)))
    top, other = in_blocks(world, found), at_once(joined)
    if not (np.array_equal(top.image_id, other[:, 0]) and np.array_equal(top.component, other[:, 1])):
        raise AssertionError("both ways find the same images")
    keys = np.random.default_rng(0).integers(0, 1 << 60, len(joined.value))
    return {
        "Strongest": lambda: in_blocks(world, found),
        "one sort of all keys": lambda: np.sort(keys),
        "sort all entries at once": lambda: at_once(joined),
    }


def one_pass(sizes: tuple[int, ...]) -> float:
    """Seconds in `Strongest` over a split that is made on the way."""
    world = World(*sizes)
    kept = Strongest(len(world.decoder), world.images, COUNT, np.dtype(np.float16))
    spent = 0.0
    for start in range(0, world.images, BLOCK):
        block = entries(world, start, min(start + BLOCK, world.images))
        began = time.perf_counter()
        kept.add(block)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    kept.result()
    return spent + time.perf_counter() - began


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    sizes = options.classes, options.d, options.p, options.m, options.k
    world, many = World(options.images, *sizes), World(options.sorted_images, *sizes)
    times = rounds(encoding(world, options.device), options.rounds, options.device)
    compare(times, dict.fromkeys(times, world.images))
    fastest = min(spent.wall for spent in times["encoder product"])
    rate = 2 * world.images * options.d * options.m / fastest / 1e9
    print(f"encoder product at {rate:,.0f} GFLOP/s; goal: at most 1.3 times its time\n")
    times = rounds(sorting(many), options.rounds)
    compare(times, dict.fromkeys(times, many.images * options.k), "entry")
    cost = alone(one_pass, (options.top_images, options.classes, 8, 8, options.m, options.k))
    millions = options.top_images * options.k / 1e6
    print(f"one pass over {millions:.1f} M entries: {cost.result:.2f} s, peak {cost.peak:.2f} GiB", end="; ")
    print(f"per 82 M entries {cost.result * 82 / millions:.1f} s; goal: 20 s, 4 GB")


def main(arguments: Sequence[str] | None = None) -> None:
    sizes = {"images": 1024, "sorted_images": 32768, "top_images": 65536, "classes": 100}
    options = parser(__doc__, **sizes, d=1024, p=8, m=30000, k=64).parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(machine(options))
    run(options)
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
