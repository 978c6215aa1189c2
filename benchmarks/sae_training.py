"""Stage `train_sae` as it ships, with the schedule of the preset `default`, on made embeddings.

    python benchmarks/sae_training.py                                    # small
    python benchmarks/sae_training.py --images 1281167 --d 1024 --m 30000    # ImageNet's size, 3 GB on disk

The schedule is 30 epochs of a tenth of the images in batches of 1,024: 3,750 steps at ImageNet's size.
Embeddings are sums of some of --atoms directions, drawn with a power law, with noise. The stage runs in a
process of its own, from reading the embeddings to the written SAE and its held-out quality; dead latents
cost what they cost (the auxiliary loss).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from clock import alone, machine, parser
from reliance.base.artifacts import read_json, read_table
from reliance.config.sae import SaeTraining
from reliance.units.sae import top_k, train
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA
from stages import WEIGHTS, write_parts

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
ACTIVE, NOISE, HELD_OUT = 24, 0.02, 8192


class Sums(NamedTuple):
    """Embeddings made block by block; the fields that `write_parts` asks for."""

    images: int
    decoder: np.ndarray  # directions [atoms, d]
    seed: int

    def x(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Class tokens of images [start, stop)."""
        g = np.random.default_rng((self.seed, start))
        n, (atoms, d) = stop - start, self.decoder.shape
        chosen = (atoms * g.random((n, ACTIVE)) ** 2).astype(np.int64)
        weights = g.uniform(0.2, 1.2, (n, ACTIVE)).astype(np.float32)
        x = NOISE * g.standard_normal((n, d), np.float32) + np.float32(d**-0.5)
        for column in range(ACTIVE):
            x += weights[:, column, None] * self.decoder[chosen[:, column]]
        return {"x": x.astype(np.float16), "valid": np.ones(n, bool)}


def stage(folder: Path, settings: dict[str, Any]) -> None:
    """The stage, on what `main` wrote."""
    names = {"history": "history.parquet", "sae": "sae.safetensors", "quality": "quality.json"}
    files = train.Files(
        embeddings=[folder / "train" / "embeddings" / "manifest.json"],
        held_out=folder / "test" / "embeddings" / "manifest.json",
        **{name: folder / file for name, file in names.items()},
    )
    running = train.Running(device=settings.pop("device"), threads=settings.pop("threads"))
    top_k.train(files=files, settings=SaeTraining(**settings), running=running)


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__, images=20480, d=256, m=2048, k=64, atoms=6000, seed=0)
    found.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    options = found.parse_args(arguments)
    preset = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["sae_presets"]["default"]
    chosen = {name: getattr(options, name) for name in ("m", "k", "precision", "seed", "device", "threads")}
    directions = np.random.default_rng((9, 9)).standard_normal((options.atoms, options.d), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    print(machine(options))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed, (split, images) in enumerate({"train": options.images, "test": HELD_OUT}.items()):
            world, inputs = Sums(images, directions, seed), {"index": split, "weights": WEIGHTS}
            write_parts(folder / split / "embeddings", world, world.x, inputs, split)
        cost = alone(stage, folder, preset | chosen, device=options.device)
        history = read_table(folder / "history.parquet", train.HISTORY).frame
        quality = read_json(folder / "quality.json", QUALITY_KIND, QUALITY_SCHEMA)[0]
    steps, seconds = len(history), cost.wall
    print(f"{chosen}, preset {preset}")
    print(f"{steps:,} steps of {preset['batch_size']} images")
    print(f"whole stage: {seconds / 60:.1f} min, {1e3 * seconds / steps:.0f} ms a step, {cost.peak:.2f} GiB")
    print(f"dead latents: {history['dead'].mean():.0f} on average, {history['dead'].iloc[-1]} at the end")
    print(f"explained variance, held out: {quality['explained_variance']:.4f}")
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
