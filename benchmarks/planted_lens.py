"""The lens against what was drawn, on fresh worlds: names, words of images, segments, maps, misled models.

    python benchmarks/planted_lens.py --seeds 125 126 127

Each seed draws a small world (`mining.small`), trains a CLIP of four blocks on it and, by the pipeline, what
`lens: {layers: [0, 1, 2]}` asks for. What is finished is not made again; these seeds chose nothing.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mining import small
from reliance.base.artifacts import read_table
from reliance.lens.evaluate import ACCURACY
from reliance.lens.neurons import NEURONS
from reliance.lens.schema import ATTACKS, ATTRIBUTE_TRUTH, LENS_TRUTH, MAPS, SEGMENTS
from seeded import ROOT, build

LAYERS = (0, 1, 2)
WIDE = "lens/{}.parquet"
BLOCKS = "lens/block{}/{}.parquet"
SHARED = 0.5  # of a neuron's strongest images, which show one thing: then it is about that thing


def settings(seed: int) -> list[str]:
    """Entries of the configuration: the small world, and one variant with a lens on a deeper CLIP."""
    world, _, _ = small(seed)
    shape = f"dataset: planted, captions: ambiguous, batch_size: 128, pool: 30000, seed: {seed}"
    labeller = f"seed: {seed + 1000}, steps: 400, pool: 30000"
    encoders = (
        f"deep: {{training: {{{shape}, steps: 500, blocks: 4}}}}, demo_labeller: {{training: {{{labeller}}}}}"
    )
    variant = {
        "encoder": "deep",
        "dataset": "planted",
        "labeller": "demo_labeller",
        "sae": {
            "preset": "planted",
            "seed": seed,
            "m": 192,
            "epochs": 40,
            "decay_at": [28, 36],
            "batch_size": 256,
        },
        "failures": {"prompt_set": "short", "every_nth": 1, "max_cases_per_class": 1},
        "lens": {"layers": list(LAYERS), "images": 2400},
    }
    flat = yaml.safe_dump({"deep": variant}, default_flow_style=True, width=1 << 20).strip()
    return [world, f"encoders={{{encoders}}}", f"variants={flat}", "compute={threads: 1}"]


def run(seed: int, cores: int) -> Path:
    """Build what is judged; returns the folder of the variant."""
    targets = [WIDE.format(name) for name in ("maps", "segments", "attacks", "attribute_truth")]
    targets += [BLOCKS.format(block, name) for block in LAYERS for name in ("truth", "accuracy")]
    targets = [f"results/deep/{target}" for target in targets]
    return build(ROOT / f"build/planted_lens/{seed}", targets, settings(seed), cores) / "deep"


def judged(here: Path) -> dict[str, float]:
    """What is stated of one world."""
    found = {}
    for block in LAYERS:
        truth = read_table(here / BLOCKS.format(block, "truth"), LENS_TRUTH).frame
        written = read_table(here / BLOCKS.format(block, "neurons"), NEURONS).frame
        strong = written["norm"].to_numpy() >= np.median(written["norm"])
        known = (truth["images"] > 0) & (truth["share"] >= SHARED)
        found[f"block {block}: neurons about one thing"] = float(known.mean())
        found[f"block {block}: of these, images name it"] = float(truth[known]["named"].mean())
        found[f"block {block}: the same, neurons that write most"] = float(
            truth[known & strong]["named"].mean()
        )
        found[f"block {block}: of these, first word right"] = float(truth[known]["worded"].mean())
        accuracy = read_table(here / BLOCKS.format(block, "accuracy"), ACCURACY).frame
        for method in ("baseline", "second_order", "direction"):
            own = accuracy.loc[accuracy["method"] == method, "accuracy"]
            found[f"block {block}: accuracy, {method.replace('_', ' ')}"] = float(own.iloc[0])
    spoken = read_table(here / WIDE.format("attribute_truth"), ATTRIBUTE_TRUTH).frame
    for kind, said, chance in spoken[["kind", "said", "chance"]].itertuples(index=False):
        found[f"ten words of an image name its {kind}"] = said
        found[f"those of another image name its {kind}"] = chance
    segments = read_table(here / WIDE.format("segments"), SEGMENTS).frame
    for method, values in segments.groupby("method", sort=False):
        found[f"segmentation, IoU: {method}"] = float(values["iou"].mean())
    maps = read_table(here / WIDE.format("maps"), MAPS).frame
    for (of, about, method), values in maps.groupby(["of", "about", "method"], sort=False):
        if method in ("exact sum", "raw attention"):
            found[f"mass inside: {method}, {of}s about {about}s"] = float(values["mass"].mean())
    attacks = read_table(here / WIDE.format("attacks"), ATTACKS).frame
    for way, values in attacks.groupby("way", sort=False):
        found[f"misled: {way}"] = float(np.average(values["success"], weights=values["pictures"]))
    return found


def main() -> None:
    """Print a row per figure, with a column per seed and their mean."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[125, 126, 127])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    columns = {str(seed): judged(run(seed, arguments.cores)) for seed in arguments.seeds}
    table = pd.DataFrame(columns)
    table["mean"] = table.mean(axis=1)
    print(f"| | {' | '.join(table.columns)} |")
    print("|---|" + "---:|" * table.shape[1])
    for name, row in table.iterrows():
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |")


if __name__ == "__main__":
    main()
