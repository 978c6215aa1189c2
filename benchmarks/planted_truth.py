"""Recall and precision of the mined cases against planted truth, over fresh seeds.

    python benchmarks/planted_truth.py --seeds 100 101 102

Each seed draws a new world, trains new CLIPs and a new SAE in a working folder of its own below
build/planted_truth/, through the pipeline itself; what is finished there is not made again.
The world's and the miner's settings were chosen on seeds 0 to 9; report other seeds only.
"""

import argparse
import json
import statistics

from seeded import ROOT, build


def settings(seed: int) -> list[str]:
    """Entries of the configuration with every seed of the demo replaced."""
    return [
        f"datasets={{planted: {{planted: {{seed: {seed}}}}}}}",
        f"encoders={{demo: {{training: {{seed: {seed}}}}}, "
        f"demo_labeller: {{training: {{seed: {seed + 1000}}}}}}}",
        f"variants={{demo: {{sae: {{seed: {seed}}}}}}}",
    ]


def run(seed: int, cores: int) -> dict:
    """Build the demo's truth.json with every seed replaced; returns its content."""
    folder = ROOT / f"build/planted_truth/{seed}"
    results = build(folder, ["results/demo/truth.json"], settings(seed), cores)
    return json.loads((results / "demo/truth.json").read_text())


def main() -> None:
    """Print one row per seed and their mean."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    rows = {seed: run(seed, arguments.cores) for seed in arguments.seeds}
    print("| seed | recall | precision | precision at 1 | at 2 | at 3 | average precision | cases |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for seed, truth in rows.items():
        every, ranked = truth["all"], truth["ranked"]
        shown = [every["recall"], every["precision"]]
        shown += [ranked[f"precision_at_{n}"]["precision"] for n in (1, 2, 3)]
        shown += [ranked["average_precision"]]
        cells = ["-" if v is None else f"{v:.2f}" for v in shown]  # without a listed case no precision
        print(f"| {seed} |", " | ".join(cells), f"| {every['listed']} |")
    for name in ("recall", "precision"):
        values = [truth["all"][name] for truth in rows.values() if truth["all"][name] is not None]
        if values:
            print(f"mean {name} {statistics.mean(values):.3f}, lowest {min(values):.3f}")


if __name__ == "__main__":
    main()
