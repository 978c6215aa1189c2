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
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from planted_truth import settings
from reliance.attribution.inputs import Explained, Inputs, blocks, open_inputs
from reliance.failures.expectation import Moments, expectation_frame
from reliance.failures.outliers import MINING, decision_lines, flag_pairs, sample_frame
from reliance.failures.reference import reference
from reliance.failures.scan import Miner, Tally
from reliance.planted import scoring
from reliance.planted.truth import judge_flags, outputs, read_planted
from reliance.tails.head_tail import HeadScores, HeadTail
from seeded import ROOT, build

FORMS = ("act_x_grad", "ablation")
ROWS, OVERLAP = 4096, 0.5


class ContrastScores:
    """Outputs for the prompts, relevances for their contrasts, of lengths [C]."""

    def __init__(self, plain: HeadScores, contrast: HeadScores, lengths: torch.Tensor) -> None:
        self.values, self.indices, self.y = plain.values, plain.indices, plain.y
        self.contrast, self.lengths = contrast, lengths

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k]; a tail scales its prompts to unit length."""
        return self.contrast.relevance(form, rows, prompts) * self.lengths[prompts, None]


class Contrast:
    """A tail of prompts [C, p], and one of their contrasts."""

    def __init__(self, inputs: Inputs, plain: HeadTail) -> None:
        text = inputs.text - inputs.text.mean(axis=0)
        self.both = plain, HeadTail(inputs.head, inputs.units.directions, text)
        self.lengths = torch.as_tensor(np.linalg.norm(text, axis=1))
        self.device, self.units = plain.device, plain.units

    def score(self, *images: Any) -> ContrastScores:
        """Outputs and relevances of images."""
        plain, contrast = (tail.score(*images) for tail in self.both)
        return ContrastScores(plain, contrast, self.lengths)


class Mined(NamedTuple):
    """What was flagged, and the line above which an output is one of high confidence [C]."""

    flags: pd.DataFrame
    samples: pd.DataFrame
    line: np.ndarray


def mine(inputs: Inputs, form: str, contrastive: bool) -> Mined:
    """Expectations and flags as the pipeline's stages have them, in memory."""
    plain = HeadTail(inputs.head, inputs.units.directions, inputs.text)
    tail: Any = Contrast(inputs, plain) if contrastive else plain
    moments, summed = Moments.zeros(len(inputs.class_ids), plain.units), np.zeros(2)
    for block in blocks(inputs, 1, ROWS):
        scores = tail.score(block.x, block.values, block.indices)
        label = torch.as_tensor(block.label)
        rows = torch.arange(len(label))
        r = scores.relevance(form, rows, label).numpy()
        moments.add_images(block.label, scores.y[rows, label].numpy())
        image, position = np.nonzero(block.values)
        moments.add(block.label[image], block.indices[image, position], r[image, position])
        summed += [float(scores.y.double().sum()), scores.y.numel()]
    frame = expectation_frame(moments, inputs.class_ids)
    known = reference(frame, inputs.class_ids, plain.units, "float32")
    lines = decision_lines(known, MINING.min_z, MINING.confidence_std, plain.device)
    miner, tally = Miner(tail, lines, form), Tally.zeros(known.mean.shape, plain.device)
    for block in blocks(inputs, 1, ROWS):
        miner.count(block, tally)
    floor = known._replace(y_mean=known.y_mean - summed[0] / summed[1]) if contrastive else known
    flags = flag_pairs(tally, floor, MINING)
    kept = torch.zeros(known.mean.shape, dtype=torch.bool)
    kept[flags["row"].to_numpy(), flags["component"].to_numpy()] = True
    found = [miner.collect(block, kept) for block in blocks(inputs, 1, ROWS)]
    flags["class_id"] = inputs.class_ids[flags["row"]]
    return Mined(flags, sample_frame(found, known, inputs.class_ids, "train"), lines.confident.numpy())


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
