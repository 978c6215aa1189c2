"""Which dictionary to take: chosen on some planted worlds, judged on others against what was planted.

    python benchmarks/dictionaries.py --choose 0 1 2 --judge 122 123 124

Each seed draws a small world and trains a CLIP through the pipeline, in the folders of `mining.py --small`;
what is finished there is not made again, nor are its rows (dictionaries.csv). Every dictionary is trained
twice in this process, with two seeds, and read as the page of dictionaries reads it, but for curves and for
what needs a labeller (clarity, names; `monosemanticity` is by the model itself). Chosen is, by the rule of
the page, the best mean rank over the columns and the seeds of --choose, and by the other one of the page, the
best mean of recall and precision. What each finds of the planted failures and how pure its units are is then
shown for the seeds of --judge, beside the default, which is the first row.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mining import judge, mine, small
from reliance.attribution.inputs import Explained, open_inputs
from reliance.base.artifacts import read_json
from reliance.base.entry import imported
from reliance.codes.encode import encode_part
from reliance.codes.store import gather_codes, open_codes
from reliance.config.sae import SaeTraining
from reliance.matching import judged
from reliance.matching.correlation import activity
from reliance.matching.matches import Dictionary, match, read_rows
from reliance.planted.purity import score_units
from reliance.planted.truth import Planted
from reliance.report.dictionary_page import COLUMNS, finder, ranks
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA, load_sae
from reliance.units.sae.kinds import KINDS
from reliance.units.sae.train import Files, Running
from seeded import ROOT, build

SMALL = {"m": 192, "epochs": 40, "decay_at": (28, 36), "batch_size": 256}
CANDIDATES: dict[str, dict[str, Any]] = {
    "top_k": {},
    "top_k, k 3": {"k": 3},
    "top_k, k 8": {"k": 8},
    "top_k, m 96": {"m": 96},
    "top_k, m 384": {"m": 384},
    "batch_top_k": {"kind": "batch_top_k"},
    "matryoshka": {"kind": "matryoshka"},
    "jump_relu": {"kind": "jump_relu"},
    "archetypal": {"kind": "archetypal"},
}
FOUND_AGAIN = 0.7
TRUTH = ("recall", "precision", "average_precision", "purity")


class World:
    """A planted world, and the CLIP that learned it."""

    def __init__(self, seed: int, cores: int) -> None:
        self.folder = ROOT / f"build/planted_truth/{seed}_small"
        encoder = "results/encoders/demo"
        targets = [f"{encoder}/class_token/planted/{split}/manifest.json" for split in ("train", "test")]
        targets += [f"{encoder}/class_token/head.safetensors", f"{encoder}/planted/text/short.parquet"]
        self.results = build(self.folder, targets, small(seed), cores)
        self.train, self.test, self.head, self.text = (self.folder / name for name in targets)
        planted = self.results / "datasets/planted"
        self.index = planted / "index.parquet"
        self.planted = Planted(*(planted / n for n in ("truth.parquet", "plants.json", "classes.parquet")))


def learn(world: World, settings: SaeTraining, folder: Path) -> Dictionary:
    """A trained dictionary with its codes of train, in a folder."""
    kind = KINDS[settings.kind]
    files = Files(
        [world.train], *(folder / n for n in ("sae.safetensors", "history.parquet", "quality.json"))
    )
    imported(kind.train)(
        files=files._replace(held_out=world.test), settings=settings, running=Running("cpu", 1)
    )
    part, shape = (
        folder / "codes/part-0-of-1.zarr",
        {"part_index": 0, "parts": 1, "device": "cpu", "threads": 1},
    )
    encode_part(embeddings=world.train, sae=files.sae, part=part, encoder=kind.encoders, **shape)
    gather_codes(parts=[part], manifest=folder / "codes/manifest.json")
    codes = open_codes(folder / "codes/manifest.json")
    values = read_rows(codes, np.arange(codes.rows))
    return Dictionary(folder.name, activity(values), load_sae(files.sae)[0].decoder_weight, ("w", "x"))


def row(
    world: World, changes: dict[str, Any], preset: dict[str, Any], seed: int, name: str
) -> dict[str, Any]:
    """What is known of one candidate."""
    folders = [world.folder / "dictionaries" / name.replace(" ", "_") / str(i) for i in range(2)]
    both = [
        learn(world, SaeTraining.model_validate({**preset, **changes, "seed": seed + 1000 * i}), folder)
        for i, folder in enumerate(folders)
    ]
    here = folders[0]
    sae, codes, quality = (here / n for n in ("sae.safetensors", "codes/manifest.json", "quality.json"))
    files = judged.Dictionary(
        world.test, world.train, world.test, world.index, sae, quality, world.text, world.text, world.head
    )
    judged.judge_dictionary(files=files, basis="sae", judged=here / "judged.json")
    score_units(files=files, planted=world.planted, basis="sae", purity=here / "purity.json")
    found, _ = read_json(here / "judged.json", judged.KIND, judged.SCHEMA)
    measured, _ = read_json(quality, QUALITY_KIND, QUALITY_SCHEMA)
    fires = both[0].activity.mean > 0
    again = match(*both, 16)[0].correlation >= FOUND_AGAIN
    explained = Explained(world.index, world.train, world.head, codes=codes, sae=sae, text=world.text)
    inputs = open_inputs(explained, "train")
    recall, precision, *_, average, listed = judge(mine(inputs, "act_x_grad", False), inputs, world.results)
    return {
        **{n: found[n] for n in ("kept", "absorption", "monosemanticity")},
        **{n: measured[n] for n in ("l0", "explained_variance")},
        "silent": 1 - fires.mean(),
        "found_again": again[fires].mean(),
        "purity": read_json(here / "purity.json", "unit_purity", 1)[0]["purity"],
        **{"recall": recall, "precision": precision, "average_precision": average, "listed": listed},
    }


def table(seeds: Sequence[int], preset: dict[str, Any], cores: int) -> pd.DataFrame:
    """A row per seed and candidate, with the rank of the page."""
    frames = []
    for seed in seeds:
        world = World(seed, cores)
        finished = world.folder / "dictionaries.csv"
        if not finished.exists():
            rows = [row(world, changes, preset, seed, name) for name, changes in CANDIDATES.items()]
            pd.DataFrame(rows).assign(seed=seed, name=list(CANDIDATES)).to_csv(finished, index=False)
        frame = pd.read_csv(finished)
        frames.append(frame.assign(rank=ranks(frame)))
        show(frames[-1], f"seed {seed}")
    return pd.concat(frames, ignore_index=True)


def show(frame: pd.DataFrame, title: str) -> None:
    """Print the numbers of each candidate."""
    columns = [n for n in (*COLUMNS, "average_precision", "listed", "rank") if n in frame]
    print(f"\n| {title} | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for record in frame.to_dict("records"):
        print(f"| {record['name']} |", " | ".join(f"{record[n]:.3g}" for n in columns), "|", flush=True)


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, in the order of the candidates."""
    return frame.groupby("name", sort=False).mean(numeric_only=True).reset_index()


def main() -> None:
    """Choose, then judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--choose", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--judge", type=int, nargs="*", default=[122, 123, 124])
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    presets = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))["sae_presets"]
    preset = {**presets["planted"], **SMALL}
    chosen = means(table(options.choose, preset, options.cores))
    show(chosen, "chosen on: mean")
    names = {
        "recommended": str(chosen["name"][chosen["rank"].argmin()]),
        "finds planted failures best": str(chosen["name"][finder(chosen)]),
    }
    print("\n" + "; ".join(f"{what}: {name}" for what, name in names.items()))
    if not options.judge:
        return
    fresh = table(options.judge, preset, options.cores)
    show(means(fresh), "judged on: mean")
    default = next(iter(CANDIDATES))
    for name in dict.fromkeys(names.values()):
        for column in (*TRUTH, "rank"):
            values = [fresh.loc[fresh["name"] == n, column].to_numpy() for n in (name, default)]
            more = values[0] - values[1]
            print(f"{column}: {name} {values[0].mean():.3f}, {default} {values[1].mean():.3f};", end=" ")
            print(f"differences by seed: {', '.join(f'{v:+.3f}' for v in more)}")


if __name__ == "__main__":
    main()
