"""Which relevance finds planted failures best: a trial over seeds, where only the mining differs.

    python benchmarks/mining.py --seeds 10 11

Each seed draws a world, trains a CLIP and an SAE through the pipeline, in the folders of `planted_truth.py`;
what is finished there is not made again. Then the same images are mined by

    act_x_grad   a_j dy/da_j (Eq. 6, exact form)
    ablation     y - y|a_j=0 (Eq. 5, left side)

each plain and contrastive, with t_c - mean over classes of t in place of the prompt (y and the line of high
confidence stay those of the prompt; the floor of relevance is a share of the class's mean y minus the mean of
all). Choose by some seeds, judge by others once: rows of the two must not be one table.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from planted_truth import settings
from reliance.attribution.inputs import COMPUTING, Explained, Inputs, open_inputs
from reliance.failures import outliers
from reliance.failures.measured import expected_of, open_mining_tail
from reliance.failures.outliers import MINING, Looked, decision_lines
from reliance.failures.reference import reference
from reliance.planted import scoring
from reliance.planted.truth import judge_flags, outputs, read_planted
from seeded import ROOT, build

FORMS = ("act_x_grad", "ablation")
ROWS, OVERLAP = 4096, 0.5


class Mined(NamedTuple):
    """What was flagged, and the line above which an output is one of high confidence [C]."""

    flags: pd.DataFrame
    samples: pd.DataFrame
    line: np.ndarray


def mine(inputs: Inputs, form: str, contrastive: bool) -> Mined:
    """Expectations and flags as the pipeline's stages have them, in memory."""
    tail = open_mining_tail(inputs, COMPUTING, contrastive)
    known = reference(expected_of(inputs, tail, form, 1, ROWS), inputs.class_ids, tail.units, COMPUTING.dtype)
    looked = Looked(1, ROWS, inputs.embeddings.path)
    flags, samples = outliers.mine(inputs, tail, known, (form, contrastive), MINING, looked)
    lines = decision_lines(known, MINING.min_z, MINING.confidence_std, tail.device)
    return Mined(flags, samples.assign(split="train"), lines.confident.numpy())


def judge(mined: Mined, inputs: Inputs, results: Path) -> list[float]:
    """Recall and precision of one case a class, precision of 1, 2 and 3, average precision: as truth.json."""
    planted = results / "datasets/planted"
    tables = [planted / name for name in ("truth.parquet", "plants.json", "classes.parquet", "index.parquet")]
    frame, records, _ = read_planted(*tables, "train")
    images = scoring.planted_images(frame, records)
    for plant in records:
        row, ids = int(np.searchsorted(inputs.class_ids, plant["class_id"])), images[plant["plant_id"]]
        y = outputs(inputs.embeddings.z_of(ids), inputs.text[row])
        plant["distractors"], plant["confident"] = len(ids), int((y > mined.line[row]).sum())
    plants = pd.DataFrame(records)
    judged = judge_flags(mined.flags, mined.samples, OVERLAP, plants, images)
    listed = judged[judged["rank"] == 1]
    first = scoring.summary(listed, scoring.judge_plants(listed, plants), 1)
    ranked = scoring.ranked_summary(judged)
    precisions = [ranked[f"precision_at_{n}"]["precision"] for n in (1, 2, 3)]
    return [first["recall"], *precisions, ranked["average_precision"], len(listed)]


def small(seed: int) -> list[str]:
    """Entries of the configuration for a small world: 20 classes, a short training."""
    world = f"seed: {seed}, classes: 20, train_per_class: 120, test_per_class: 30"
    training = f"seed: {seed}, steps: 800, pool: 30000"
    sae = f"seed: {seed}, m: 192, epochs: 40, decay_at: [28, 36], batch_size: 256"
    return [
        f"datasets={{planted: {{planted: {{{world}}}}}}}",
        f"encoders={{demo: {{training: {{{training}}}}}}}",
        f"variants={{demo: {{sae: {{{sae}}}}}}}",
    ]


def run(seed: int, cores: int, is_small: bool) -> tuple[Inputs, Path]:
    """What is mined, from the pipeline."""
    wanted = ["codes/train/manifest.json", "sae/sae.safetensors"]
    encoder = ["class_token/head.safetensors", "planted/text/short.parquet"]
    targets = [f"results/demo/{name}" for name in wanted]
    targets += [f"results/encoders/demo/{name}" for name in encoder]
    folder = ROOT / f"build/planted_truth/{seed}{'_small' * is_small}"
    results = build(folder, targets, small(seed) if is_small else settings(seed), cores)
    read = results / "encoders/demo"
    files = Explained(
        results / "datasets/planted/index.parquet",
        read / "class_token/planted/train/manifest.json",
        head=read / encoder[0],
        codes=results / "demo" / wanted[0],
        sae=results / "demo" / wanted[1],
        text=read / encoder[1],
    )
    return open_inputs(files, "train"), results


def main() -> None:
    """Print a row per seed and relevance, and the means over seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--small", action="store_true", help="worlds of 20 classes, where time is short")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    print("| seed | relevance | recall | precision at 1 | at 2 | at 3 | average precision | cases |")
    print("|---|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for seed in arguments.seeds:
        inputs, results = run(seed, arguments.cores, arguments.small)
        for form in FORMS:
            for contrastive in (False, True):
                name = f"{form}, contrastive" if contrastive else form
                row = judge(mine(inputs, form, contrastive), inputs, results)
                found.setdefault(name, []).append(row)
                print(f"| {seed} | {name} |", cells(row), flush=True)
    for name, rows in found.items():
        print(f"| mean | {name} |", cells(np.mean(rows, axis=0).tolist()))


def cells(row: list[float]) -> str:
    """The numbers of a row."""
    return " | ".join([*(f"{v:.3f}" for v in row[:-1]), f"{row[-1]:.3g}"]) + " |"


if __name__ == "__main__":
    main()
