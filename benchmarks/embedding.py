"""Images per second of the stage `embed_images` over the encoder's pure forward rate, in fp32 and bf16.

    python benchmarks/embedding.py                                    # small: 24 made photographs, ViT-B/32
    python benchmarks/embedding.py --images 512 --rounds 3
    python benchmarks/embedding.py --device cuda --images 20000 --batch-size 256 --workers 16
    python benchmarks/embedding.py --jpeg reduced                     # 24 made JPEGs of 2000 x 1500 pixels
    python benchmarks/embedding.py --jpeg reduced --folder PHOTOGRAPHS --images 300

Pictures are smooth noise of 500 x 375 pixels, saved as JPEG of about 100 kB in a temporary folder; weights
are random, or those of --checkpoint. The stage reads, decodes, resizes, runs the model and writes. Its time
per image is the slope between a third of the images and all, so that loading the model does not count.
Where decoding and the model share all cores, the ratio of CPU times is what a busy machine distorts least.
The floor is the forward pass of the same pixels again and again (goal: at least 0.95 of its rate on a CPU,
0.9 on a GPU with 16 cores). What bf16 changes is said of class tokens and of attributions: act x grad of
random prompts, with latents in random directions. Needs open_clip and everything the pipeline needs.

`--jpeg reduced` compares `jpeg_decoding: reduced` with `exact` instead: the time of reading, decoding and
resizing, and cosines of those pictures that are decoded smaller (some are too small for it). In the last
column they may become as small as the encoder's own pixels, not twice as large: why the pipeline does not.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image

from clock import Spent, alone, machine, parser, ratio, rounds, seconds, table
from reliance.base.artifacts import write_table
from reliance.encoders import vision
from reliance.encoders.head import load_head
from reliance.encoders.model import Clip, load_model, read_weights
from reliance.encoders.sites import class_token
from reliance.encoders.vision import Compute, Share, Store, collate, normaliser
from reliance.encoders.weights import resolve_weights
from reliance.images.decode import SPARE, Images, Reading
from reliance.images.tables import INDEX
from reliance.tails.relevance import attribute
from reliance.units.sae.sparse import Parameters
from reliance.units.sae.top_k import encode

USUAL, LARGE = (500, 375), (2000, 1500)
LATENTS, ACTIVE, PROMPTS = 4096, 32, 8


class Job(NamedTuple):
    """What a process needs to know."""

    folder: Path
    images: int
    precision: str
    device: str
    threads: int
    workers: int
    batch_size: int


def draw(folder: Path, count: int, size: tuple[int, int] = USUAL) -> list[str]:
    """Write smooth noisy pictures; their paths below `folder`."""
    g, names = np.random.default_rng(0), [f"{i:06d}.jpg" for i in range(count)]
    for name in names:
        coarse = g.integers(0, 256, (12, 16, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
        noisy = smooth + g.normal(0, 12, smooth.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name, quality=90)
    return names


def stage(job: Job) -> None:
    """The stage, with a file for its output that is written once."""
    class_token.embed_images(
        index=job.folder / f"index_{job.images}.parquet",
        weights=job.folder / "weights.json",
        part=Path(tempfile.mkdtemp(dir=job.folder)) / "part-0-of-1.zarr",
        share=Share("train", part_index=0, parts=1),
        reading=Reading(str(job.folder)),
        store=Store(),
        compute=Compute(job.precision, job.batch_size, job.workers, job.device, job.threads),
    )


def pictures(job: Job) -> Images:
    """The images of a job as the stage's workers see them."""
    preprocess = read_weights(job.folder / "weights.json")[0].preprocess
    names = sorted(path.name for path in job.folder.glob("*.jpg"))[: job.images]
    return Images(names, Reading(str(job.folder), False, 200_000_000), preprocess)


def forward(job: Job) -> tuple[Spent, Spent]:
    """Seconds per image of the model alone, and of decoding and resizing in one process."""
    torch.set_num_threads(job.threads)
    clip, images = load_model(job.folder / "weights.json", job.device), pictures(job)
    size = min(job.batch_size, len(images))
    batch = collate([images[i] for i in range(size)]).pixels.to(job.device)
    passes = max(1, job.images // size)

    def again() -> None:
        for _ in range(passes):
            embed(batch)

    with vision.forward(clip, class_token.SITE, job.precision) as embed:
        embed(batch)
        model = seconds(again, job.device)
    decode = seconds(lambda: [images[i] for i in range(size)])
    return Spent(*(t / (passes * size) for t in model)), Spent(*(t / size for t in decode))


def embeddings(clip: Clip, images: Images, precision: str, batch_size: int) -> torch.Tensor:
    """Class tokens [n, d] as they are stored."""
    batches = [range(i, min(i + batch_size, len(images))) for i in range(0, len(images), batch_size)]
    with vision.forward(clip, class_token.SITE, precision) as embed:
        found = [embed(collate([images[i] for i in batch]).pixels).wait()[0] for batch in batches]
    return torch.from_numpy(np.concatenate(found)).half().float()


def effect(job: Job) -> dict[str, float]:
    """What bf16 changes: class tokens, active latents, and attributions as vectors over all latents."""
    torch.set_num_threads(job.threads)
    clip, images = load_model(job.folder / "weights.json", job.device), pictures(job)
    exact, rough = (embeddings(clip, images, p, job.batch_size) for p in ("fp32", "bf16"))
    g = torch.Generator().manual_seed(0)
    mean, d = exact.mean(0), exact.shape[1]
    rows = torch.nn.functional.normalize(torch.randn(LATENTS, d, generator=g), dim=1)
    parameters = Parameters(rows, torch.zeros(LATENTS), rows, mean)
    class_token.export_head(weights=job.folder / "weights.json", head=job.folder / "head.safetensors")
    head, _ = load_head(job.folder / "head.safetensors")
    dense, active = [], []
    for x in (exact, rough):
        code = encode(x, parameters, ACTIVE)
        active.append(torch.zeros(len(x), LATENTS).scatter(1, code.indices, code.values) > 0)
        of_prompts = []
        for text in torch.randn(PROMPTS, head.proj.shape[1], generator=g.manual_seed(1)):
            found = attribute(x, code.values, code.indices, rows, head, text).act_x_grad
            of_prompts.append(torch.zeros(len(x), LATENTS).scatter_add(1, code.indices, found))
        dense.append(torch.stack(of_prompts))
    cosine = torch.nn.functional.cosine_similarity
    return {
        "cosine of class tokens, mean taken away": float(cosine(exact - mean, rough - mean).mean()),
        "share of active latents that stay": float((active[0] & active[1]).sum() / active[0].sum()),
        "cosine of attributions": float(cosine(*dense, dim=2).mean()),
        "largest difference, of the largest": float((dense[0] - dense[1]).abs().max() / dense[0].abs().max()),
    }


def spread(folder: Path, count: int) -> list[str]:
    """Paths below a folder of `count` of its JPEGs, evenly spread."""
    names = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.suffix.lower() in (".jpg", ".jpeg")
    )
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def similar(exact: torch.Tensor, other: torch.Tensor) -> str:
    """Cosines of rows, [n, d] each: mean, lowest."""
    found = torch.nn.functional.cosine_similarity(exact.double(), other.double(), dim=1)
    return f"{found.mean():.5f}, {found.min():.5f}" if len(found) else "-"


def decoded(job: Job, root: str, names: list[str], turns: int) -> dict[str, list[str]]:
    """What every way of decoding JPEGs costs, and what it changes in pictures that it decodes smaller.

    Returns the cells of a column per way; in the order of the rows of `compare_decoding`.
    """
    torch.set_num_threads(job.threads)
    SPARE["down to 1 x"] = 1
    clip = load_model(job.folder / "weights.json", job.device)
    preprocess, everything = clip.weights.preprocess, range(len(names))
    ways = {way: Images(names, Reading(root, False, 200_000_000, None, way), preprocess) for way in SPARE}
    actions = {way: lambda images=images: [images[i] for i in everything] for way, images in ways.items()}
    times, normalise = rounds(actions, turns), normaliser(preprocess)
    exact, tokens, cells = torch.empty(0), torch.empty(0), {}
    for way, images in ways.items():
        pixels, x = collate(actions[way]()).pixels, embeddings(clip, images, "fp32", job.batch_size)
        if way == "exact":
            exact, tokens = pixels, x
        changed = (exact != pixels).flatten(1).any(dim=1)
        before, after = (p[changed].float() for p in (exact, pixels))
        spent = [f"{median(getattr(s, f) for s in times[way]) / len(names) * 1e3:.2f}" for f in Spent._fields]
        share, mean = ratio(times[way], times["exact"], "cpu"), tokens.mean(0)
        cells[way] = [
            ", ".join(spent),
            f"{share:.3f}",
            f"{int(changed.sum())} of {len(names)}",
            f"{float((before - after).abs().mean()):.3f}" if changed.any() else "-",
            similar(*(normalise(p).flatten(1) for p in (before, after))),
            similar(tokens[changed], x[changed]),
            similar(tokens[changed] - mean, x[changed] - mean),
        ]
    return cells


def compare_decoding(options: argparse.Namespace, job: Job) -> None:
    """Print a column per way of decoding."""
    folder = Path(options.folder) if options.folder else job.folder
    names = spread(folder, job.images) if options.folder else draw(folder, job.images, LARGE)
    size = sum((folder / name).stat().st_size for name in names) / len(names)
    print(f"{len(names)} pictures of {size / 1000:.0f} kB")
    cells = alone(decoded, job, str(folder), names, options.rounds).result
    what = (
        "ms per image, wall, CPU",
        "CPU time over that of exact",
        "decoded smaller; of these:",
        "mean difference of pixels, of 255",
        "preprocessed pixels: cosine, its lowest",
        "class tokens: cosine, its lowest",
        "the same, mean taken away",
    )
    table([("", *cells), *zip(what, *cells.values(), strict=True)])


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Print rates in both precisions."""
    few = options.images // 3
    head = ("ms per image: wall, CPU", "forward", "whole stage", "decoding", "of the pure rate", "peak GiB")
    rows: list[Sequence[object]] = [head]
    where = (options.device, options.threads, options.workers, options.batch_size)
    for precision in ("fp32", "bf16"):
        small, large = (Job(folder, n, precision, *where) for n in (few, options.images))
        model, decode, whole, peaks = [], [], [], []
        for _ in range(options.rounds):
            first, both, second = alone(stage, small), alone(forward, large), alone(stage, large)
            count = options.images - few
            whole.append(Spent((second.wall - first.wall) / count, (second.cpu - first.cpu) / count))
            model.append(both.result[0])
            decode.append(both.result[1])
            peaks.append(second.peak)
        times = (
            ", ".join(f"{median(getattr(s, f) for s in found) * 1e3:.1f}" for f in Spent._fields)
            for found in (model, whole, decode)
        )
        share = ", ".join(f"{ratio(model, whole, f):.3f}" for f in Spent._fields)
        rows.append((precision, *times, share, f"{max(peaks):.2f}"))
    table(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__, images=24, batch_size=8, workers=1)
    found.add_argument("--architecture", default="ViT-B-32")
    found.add_argument("--checkpoint", help="weights to use instead of random ones")
    found.add_argument(
        "--jpeg", choices=("reduced",), help="compare ways of decoding JPEGs, and nothing else"
    )
    found.add_argument("--folder", help="with --jpeg: photographs to use instead of made ones")
    found.set_defaults(rounds=1)
    options = found.parse_args(arguments)
    print(machine(options))
    source = {"file": options.checkpoint} if options.checkpoint else {"random": True}
    architecture = None if options.checkpoint else options.architecture
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        resolve_weights(weights=folder / "weights.json", encoder="made", architecture=architecture, **source)
        where = (options.device, options.threads, options.workers, options.batch_size)
        if options.jpeg:
            compare_decoding(options, Job(folder, options.images, "", *where))
            print(f"after: {machine(options)}")
            return
        names = draw(folder, options.images)
        for count in (options.images // 3, options.images):
            frame = {
                "split": "train",
                "image_id": range(count),
                "path": names[:count],
                "class_id": 0,
                "bytes": [(folder / name).stat().st_size for name in names[:count]],
            }
            write_table(folder / f"index_{count}.parquet", pd.DataFrame(frame), INDEX, {}, {})
        measure(options, folder)
        size = sum(path.stat().st_size for path in folder.glob("*.jpg")) / options.images
        print(f"{options.images} pictures of {size / 1000:.0f} kB, {options.workers} decoding processes")
        for what, value in alone(effect, Job(folder, min(options.images, 64), "", *where)).result.items():
            print(f"bf16: {what} {value:.5f}")
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
