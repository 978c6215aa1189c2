"""Families, coverage and repairs on planted worlds that chose nothing: recall and precision over k and m.

    python benchmarks/planted_repair.py --seeds 119 120 121

Each seed draws the demo's world, trains its CLIPs and, by the pipeline, the shipped SAE and others with
another k or m. Cases of single latents are those of truth.json; cases of latents and families are those of
repair/cases.parquet, one of each class, of which some are split into two, judged as truth.json judges.
Coverage and repairs are those of the repair page, of the shipped SAE. What is finished is not made again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from planted_truth import settings
from reliance.planted import scoring
from reliance.planted.truth import read_planted
from seeded import ROOT, build

SHIPPED = "demo"
SIZES = {"k8": {"k": 8}, "k16": {"k": 16}, "m256": {"m": 256}, "m2048": {"m": 2048}}
TABLES = ("cases", "case_images", "coverage", "shared", "proof", "repairs")
FAILURES = {"prompt_set": "short", "every_nth": 1, "max_cases_per_class": 1}


def configured(seed: int) -> list[str]:
    """Entries of the configuration: the demo of a seed, with SAEs of other sizes beside its own."""
    *world, own = settings(seed)
    variants = yaml.safe_load(own.removeprefix("variants="))
    for name, size in SIZES.items():
        sae = {"preset": "planted", "seed": seed, **size}
        labelled = {"encoder": "demo", "dataset": "planted", "labeller": "demo_labeller"}
        variants[name] = {**labelled, "sae": sae, "failures": FAILURES}
    flat = yaml.safe_dump(variants, default_flow_style=True, width=1 << 20).strip()
    return [*world, f"variants={flat}", "compute={threads: 1}"]


def run(seed: int, cores: int) -> Path:
    """Build what is judged; returns the folder of results."""
    targets = [
        f"results/{name}/{table}"
        for name in (SHIPPED, *SIZES)
        for table in ("truth.json", "repair/cases.parquet")
    ]
    targets += [f"results/{SHIPPED}/repair/{table}.parquet" for table in TABLES]
    targets.append(f"results/{SHIPPED}/repaired/edits.json")
    return build(ROOT / f"build/planted_truth/{seed}", targets, configured(seed), cores)


def judged(results: Path, variant: str) -> tuple[dict, dict]:
    """Recall and precision of cases of single latents, and of latents and families."""
    truth = json.loads((results / variant / "truth.json").read_text())
    data, repair = results / "datasets/planted", results / variant / "repair"
    frame, records, _ = read_planted(
        data / "truth.parquet",
        data / "plants.json",
        data / "classes.parquet",
        data / "index.parquet",
        "train",
    )
    images = scoring.planted_images(frame, records)
    counted = pd.DataFrame(truth["plants"])
    cases = pd.read_parquet(repair / "cases.parquet").rename(columns={"case_id": "failure_id"})
    samples = pd.read_parquet(repair / "case_images.parquet").rename(columns={"case_id": "failure_id"})
    plants = pd.DataFrame(records).merge(counted[["plant_id", "distractors", "confident"]], on="plant_id")
    found = scoring.judge_cases(cases, samples, plants, images)
    return truth["all"], scoring.summary(found, scoring.judge_plants(found, plants), None)


def mended(results: Path) -> list[float]:
    """Of the shipped SAE: coverage, by chance, with shared; cases, halved, recommended; accuracies."""
    repair = results / SHIPPED / "repair"
    covered, tried = (pd.read_parquet(repair / f"{name}.parquet") for name in ("coverage", "repairs"))
    pairs = covered["confident"].sum()
    explained = covered["explained"].sum() / pairs
    chance = (covered["by_chance"] * covered["confident"]).sum() / pairs
    by_case = tried.groupby("case_id")[["halves", "recommended"]].any()
    accuracy = json.loads((results / SHIPPED / "repaired/edits.json").read_text())["judged"]
    shares = [explained, chance, explained + covered["shared"].sum() / pairs]
    return [*shares, len(by_case), *by_case.sum().tolist(), accuracy["top1_before"], accuracy["top1_after"]]


def main() -> None:
    """Print tables of recall and precision by size, and of coverage and repairs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[119, 120, 121])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    rows: dict[str, list[list[float]]] = {}
    repairs = []
    print("| seed | SAE | latents: recall | precision | cases | and families: recall | precision | cases |")
    print("|---|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for seed in arguments.seeds:
        results = run(seed, arguments.cores)
        for variant in (SHIPPED, *SIZES):
            parts = judged(results, variant)
            row = [part[name] for part in parts for name in ("recall", "precision", "listed")]
            rows.setdefault(variant, []).append([np.nan if value is None else value for value in row])
            print(f"| {seed} | {variant} |", cells(rows[variant][-1]), flush=True)
        repairs.append((seed, mended(results)))
    for variant, found in rows.items():
        print(f"| mean | {variant} |", cells(np.nanmean(found, axis=0).tolist()))
    print("\n| seed | explained | by chance | with shared | cases | gap halved | mended | accuracy | after |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for seed, row in repairs:
        shares, counts = [f"{v:.2f}" for v in row[:3]], [f"{v:g}" for v in row[3:6]]
        print(f"| {seed} |", " | ".join([*shares, *counts, *(f"{v:.3f}" for v in row[6:])]), "|")


def cells(row: list[float]) -> str:
    """The numbers of a row: shares, and every third a count."""
    return " | ".join(f"{v:.3g}" if i % 3 == 2 else f"{v:.2f}" for i, v in enumerate(row)) + " |"


if __name__ == "__main__":
    main()
