"""What is found of planted failures at each site of a model, and where patch latents fire: fresh seeds.

    python benchmarks/planted_sites.py --seeds 116 117 118

Each seed draws a small world (`mining.small`), trains a CLIP of two blocks on it and, by the pipeline, an SAE
at four places: the class token, the image embedding, and behind the first block the class token and the
patches. Recall and precision are those of truth.json. A patch latent whose name is a thing, a word or a
background is laid over its strongest pictures that show it: the share of its activations inside what was
drawn, beside the share that this has of the picture. What is finished is not made again; these seeds chose
nothing.
"""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mining import small
from reliance.base.artifacts import read_table
from reliance.codes.encode import encoder_for
from reliance.encoders.model import load_model
from reliance.encoders.sites.block import tokens_behind
from reliance.encoders.sites.patches import grid_of
from reliance.encoders.vision import normaliser
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.planted import drawn
from reliance.planted.lens_maps import Files, of_latents
from reliance.planted.masks import masks, mass_inside
from reliance.planted.table import TRUTH
from reliance.tails.remaining import pixels_of
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import load_sae
from reliance.units.sae.kinds import KINDS
from reliance.units.sae.pooled import on_patches
from reliance.units.sae.sparse import on_device
from seeded import ROOT, build

BLOCK = -2
SITES: dict[str, Any] = {
    "class token": "class_token",
    "embedding": "embedding",
    "class token, first block": {"block": BLOCK, "token": "class"},
    "patches, first block": {"block": BLOCK, "token": "patches"},
}
PATCHES = {"epochs": 6, "decay_at": [4, 5]}  # of eight times as many rows
IMAGES, UNITS = 3, 400  # looked at of each named latent, and latents at most


def named(site: str) -> str:
    """The variant of a site."""
    return "at_" + site.replace(",", "").replace(" ", "_")


def settings(seed: int) -> list[str]:
    """Entries of the configuration: the small world with a variant per site."""
    world, encoders, _ = small(seed)
    variants = {}
    for site, where in SITES.items():
        sae = {
            "preset": "planted",
            "seed": seed,
            "m": 192,
            "epochs": 40,
            "decay_at": [28, 36],
            "batch_size": 256,
        }
        variants[named(site)] = {
            "encoder": "demo",
            "dataset": "planted",
            "labeller": "demo_labeller",
            "site": where,
            "sae": sae | (PATCHES if "patches" in site else {}),
            "failures": {"prompt_set": "short", "every_nth": 1, "max_cases_per_class": 1},
        }
    encoders = (
        encoders[:-1] + f", demo_labeller: {{training: {{seed: {seed + 1000}, steps: 400, pool: 30000}}}}}}"
    )
    flat = yaml.safe_dump(variants, default_flow_style=True, width=1 << 20).strip()
    return [world, encoders, f"variants={flat}", "compute={threads: 1}"]


def run(seed: int, cores: int) -> Path:
    """Build what is judged; returns the folder of results."""
    targets = [f"results/{named(site)}/truth.json" for site in SITES]
    targets.append(f"results/{named('patches, first block')}/components.parquet")
    return build(ROOT / f"build/planted_truth/{seed}_sites", targets, settings(seed), cores)


def inside(results: Path, variant: str, world: dict[str, int]) -> dict[str, tuple[float, float, int]]:
    """By factor: mean share of activations inside what patch latents name, of the picture, and latents."""
    own, data = results / variant, results / "datasets/planted"
    weights = results / "encoders/demo/weights.json"
    text = results / "encoders/demo/planted/text/short.parquet"
    truth = data / "truth.parquet"
    files = Files(
        own / "sae/sae.safetensors", own / "components.parquet", own / "top_samples.parquet", text,
        data / "classes.parquet", truth, weights,
    )  # fmt: skip
    clip, (arrays, _) = load_model(weights, "cpu"), load_sae(files.sae)
    encoder = encoder_for(files.sae, arrays, KINDS["top_k"].encoders)
    sae = Applied(encoder, on_device(arrays.arrays, "cpu"), arrays.k, arrays.input_norm)
    cases = list(of_latents(files, read_table(truth, TRUTH).frame, IMAGES, UNITS))
    pixels = pixels_of(read_split(data / "index.parquet", "train"), Reading(str(data / "images")), clip, 1)
    shown = masks(drawn.Objects(world["classes"]), world["seed"], world["train_per_class"], test=False)
    into: list[torch.Tensor] = []
    found: dict[str, list[tuple[int, float, float]]] = {}
    for case in cases:
        images = normaliser(clip.weights.preprocess, clip.device)(pixels(np.array([case.image_id])))
        with torch.inference_mode(), tokens_behind(clip, BLOCK, lambda tokens: tokens[:, 1:], into):
            clip.model.encode_image(images)
        fires = on_patches(into.pop().float(), sae, torch.tensor([[case.unit]]))[0, :, 0]
        mask = shown[case.about][case.image_id]
        rows, columns = grid_of(clip)
        map_ = fires.view(rows, columns).numpy()
        wide = map_.repeat(mask.shape[0] // rows, 0).repeat(mask.shape[1] // columns, 1)
        share = float(mass_inside(wide[None], mask[None])[0])
        found.setdefault(case.about, []).append((case.unit, share, float(mask.mean())))
    summary = {}
    for about, rows_ in found.items():
        units, shares, areas = zip(*rows_, strict=True)
        summary[about] = (float(np.nanmean(shares)), float(np.mean(areas)), len(set(units)))
    return summary


def main() -> None:
    """Print a row per seed and site, the means, and where patch latents fire."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[116, 117, 118])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    rows: dict[str, list[list[float]]] = {site: [] for site in SITES}
    places = []
    print("| seed | site | recall | precision | average precision | plants | cases |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for seed in arguments.seeds:
        results = run(seed, arguments.cores)
        for site in SITES:
            truth = json.loads((results / named(site) / "truth.json").read_text())
            every = truth["all"]
            row = [every["recall"], every["precision"], truth["ranked"]["average_precision"]]
            row = [np.nan if value is None else value for value in row]
            row += [every["testable"], every["listed"]]
            rows[site].append(row)
            print(f"| {seed} | {site} |", cells(row), flush=True)
        world = {"seed": seed, "classes": 20, "train_per_class": 120}
        with contextlib.chdir(results.parent):  # what the pipeline wrote of its weights is relative to it
            masses = inside(results, named("patches, first block"), world)
        places += [(seed, about, *row) for about, row in masses.items()]
    for site, found in rows.items():
        print(f"| mean | {site} |", cells(np.nanmean(found, axis=0).tolist()))
    print("\n| seed | patch latents that name | share inside | of the picture | latents |")
    print("|---|---|---:|---:|---:|")
    for seed, about, share, area, units in places:
        print(f"| {seed} | {about}s | {share:.2f} | {area:.2f} | {units} |")


def cells(row: list[float]) -> str:
    """The numbers of a row."""
    return " | ".join([*(f"{v:.2f}" for v in row[:-2]), *(f"{v:g}" for v in row[-2:])]) + " |"


if __name__ == "__main__":
    main()
