"""What sites inside an encoder cost, in passes of the whole image tower over the same images.

    python benchmarks/sites.py --model ViT-B-32 --images 32 --k 32

Random weights, float32, on the CPU: act x grad of the own class by `NetworkTail` behind block -2 (aim: 3.5),
codes of all patches at m = 8 d (1.5), and two sites from one pass, against one (1.05). Rounds of each are
taken in turns, the smallest of each counts.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from reliance.base.artifacts import Stamp
from reliance.codes.patches import Shape, pooling_site
from reliance.encoders.model import Clip, Weights, build_random
from reliance.encoders.sites import block, class_token
from reliance.encoders.vision import forward
from reliance.tails.network import Network
from reliance.tails.protocol import ACT_X_GRAD
from reliance.units.sae import top_k
from reliance.units.sae.apply import Applied
from reliance.units.sae.sparse import Parameters, random_rows

BLOCK, PROMPTS, FACTOR = -2, 10, 8


def clip_of(config: dict) -> Clip:
    """A CLIP with random weights."""
    model = build_random(config, 0).float().eval().requires_grad_(False)
    size = config["vision_cfg"]["image_size"]
    preprocess = {"size": size, "mean": [0.5] * 3, "std": [0.3] * 3}
    weights = Weights("e", "encoder", "random", config, preprocess, False, True, 0, "", "")
    return Clip(model, torch.device("cpu"), weights, Stamp("weights", 1, "i", {}, {}))


def measured(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each way, the smallest of `rounds` in turns after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: min(values) for name, values in seconds.items()}


def run(config: dict, images: int, k: int, rounds: int) -> dict[str, float]:
    """Costs in forward passes of the tower."""
    clip, rng = clip_of(config), np.random.default_rng(0)
    d, size, p = config["vision_cfg"]["width"], config["vision_cfg"]["image_size"], config["embed_dim"]
    m = FACTOR * d
    rows = torch.from_numpy(random_rows(m, d, 0))
    pixels = torch.from_numpy(rng.integers(0, 256, (images, 3, size, size), np.uint8))
    text = random_rows(PROMPTS, p, 1)
    values = torch.from_numpy(rng.random((images, k), np.float32))
    indices = torch.from_numpy(np.stack([rng.permutation(m)[:k] for _ in range(images)]))
    every, own = torch.arange(images), torch.from_numpy(rng.integers(0, PROMPTS, images))
    tail = Network(clip, BLOCK, lambda rows: pixels[rows]).tail(rows.numpy(), text, "cpu", torch.float32, 10)
    sae = Applied(top_k.ENCODER, Parameters(rows, torch.zeros(m), rows, torch.zeros(d)), k)
    place = block.site_at(BLOCK)
    pooling = pooling_site(clip, "patches", Shape(BLOCK), sae, min(m, 4 * k))
    x = torch.zeros(images, d)

    def relevances() -> object:
        scores = tail.score(x, values, indices, np.arange(images))
        return scores.relevance(ACT_X_GRAD, every, own)

    ways: dict[str, Callable[[], object]] = {"relevances": relevances}
    taking = {"one": (class_token.SITE, ()), "two": (class_token.SITE, (place,)), "patches": (pooling, ())}
    found: dict[str, float] = {}
    with ExitStack() as stack:
        plain = stack.enter_context(forward(clip, class_token.SITE))
        found |= {f"{n}_s": s for n, s in measured({"pass": lambda: plain(pixels), **ways}, rounds).items()}
    for name, (site, others) in taking.items():
        seconds: dict[str, float] = {}
        for _ in range(rounds):  # one after the other: what one records, the other must not
            for way, arguments in (("pass", (class_token.SITE,)), (name, (site, "fp32", others))):
                with forward(clip, *arguments) as taken:
                    once = measured({way: lambda run=taken: run(pixels)}, 1)[way]
                seconds[way] = min(once, seconds.get(way, once))
        found[name] = seconds[name] / seconds["pass"]
    found["relevances"] = found["relevances_s"] / found["pass_s"]
    return found


def main() -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="ViT-B-32", help="of open_clip, or a JSON file of its form")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if Path(arguments.model).exists():
        config = json.loads(Path(arguments.model).read_text())
    else:
        import open_clip

        config = open_clip.get_model_config(arguments.model)
    found = run(config, arguments.images, arguments.k, arguments.rounds)
    print(f"one pass of {arguments.images} images: {found['pass_s']:.3f} s")
    print(f"act x grad of the own class behind block {BLOCK}: {found['relevances']:.2f} passes (at most 3.5)")
    print(f"codes of all patches at m = {FACTOR} d: {found['patches']:.2f} passes (at most 1.5)")
    print(f"two sites in one pass: {found['two'] / found['one']:.3f} of one (at most 1.05)")


if __name__ == "__main__":
    main()
