"""Planted failures found by slices of embeddings and by keywords, beside those found by latents.

    python benchmarks/peers.py --seeds 116 117 118

On the small worlds of `planted_sites.py`, which builds them. All see the same: the model's embeddings and
outputs, the line of high confidence of each class, and (keywords, names) the labeller. What each lists is a
set of images of other classes that score like a class, in an order; it is judged as truth.json judges.

    latents    act x grad, mined as the pipeline does
    slices     Domino (Eyuboglu et al. 2022): for each class a mixture over (z, in the class or not, scores
               like it or not) with p(z, y, s | slice) = N(z) p(y)^g p(s)^g, g = 10, 25 slices, diagonal
               Gaussians in 32 principal components, started by k-means; slices by mean s - mean y
    keywords   as B2T does (Kim et al. 2024), without captions: words of the vocabulary that the labeller
               sees more in images of others that score like the class than in the class's own; an image has
               the word if it lies beyond the middle of the two means

g and the number of slices are those of the paper on Domino, the other settings ours; nothing was tuned on any
of these worlds. Latents are listed where they are significant, slices and keywords for nearly every class:
with p plants and q cases precision is at most p / q, so compare recall and average precision.
"""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from mining import Mined, judge, mine
from planted_sites import named, run
from reliance.attribution.inputs import Explained, Inputs, open_inputs
from reliance.base.artifacts import read_table
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT

SLICES, GAMMA, COMPONENTS, STEPS = 25, 10.0, 32, 50
WORDS = 3  # of a class
LEAST = 10  # images of a case


class Seen(NamedTuple):
    """What everybody sees of a world."""

    unit: np.ndarray  # embeddings of the encoder [n, p], unit length
    label: np.ndarray  # class rows [n]
    above: np.ndarray  # whether an image scores like a class, bool [n, C]
    labeller: np.ndarray  # the labeller's embeddings [n, q], unit length
    words: np.ndarray  # of the vocabulary [V, q], unit length


def opened(results: Path) -> tuple[Inputs, Seen, np.ndarray]:
    """What is explained, what everybody sees, and the lines of high confidence [C]."""
    own, read, data = results / named("class token"), results / "encoders/demo", results / "datasets/planted"
    files = Explained(
        data / "index.parquet",
        read / "class_token/planted/train/manifest.json",
        head=read / "class_token/head.safetensors",
        codes=own / "codes/train/manifest.json",
        sae=own / "sae/sae.safetensors",
        text=read / "planted/text/short.parquet",
    )
    inputs = open_inputs(files, "train")
    rows = np.arange(inputs.units.rows)
    unit = lengthened(inputs.embeddings.z_of(rows).astype(np.float64))
    y = unit @ lengthened(inputs.text.astype(np.float64)).T
    own_y = [y[inputs.labels == c, c] for c in range(len(inputs.class_ids))]
    line = np.array([part.mean() - 1.5 * part.std(ddof=1) for part in own_y])
    named_by = results / "encoders/demo_labeller"
    where = next(named_by.glob("*/planted/train/manifest.json"))
    vocabulary = read_table(next(named_by.glob("planted/text/vocabulary.parquet")), TEXT).frame
    words = lengthened(np.stack(vocabulary["embedding"].to_list()).astype(np.float64))
    sees = lengthened(Embeddings(where).z_of(rows).astype(np.float64))
    return inputs, Seen(unit, inputs.labels, y > line, sees, words), line


def lengthened(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of length 0 stay."""
    found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found


def mixture(z: np.ndarray, y: np.ndarray, s: np.ndarray, slices: int, seed: int) -> np.ndarray:
    """Responsibilities [n, slices] of the error-aware mixture over z [n, d] and two facts, 0 or 1 [n]."""
    part = KMeans(min(slices, len(z)), n_init=1, random_state=seed).fit_predict(z)
    q = np.eye(part.max() + 1)[part] * 0.98 + 0.02 / (part.max() + 1)
    for _ in range(STEPS):
        weight = q.sum(axis=0) + 1e-9
        mean = q.T @ z / weight[:, None]
        variance = q.T @ z**2 / weight[:, None] - mean**2 + 1e-4
        log_p = np.log(weight / len(z)) - 0.5 * (
            np.log(variance).sum(axis=1)
            + (z**2 @ (1 / variance).T - 2 * z @ (mean / variance).T + (mean**2 / variance).sum(axis=1))
        )
        for fact in (y, s):
            p = ((q.T @ fact + 0.5) / (weight + 1))[None]
            log_p += GAMMA * (fact[:, None] * np.log(p) + (1 - fact[:, None]) * np.log(1 - p))
        new = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        new /= new.sum(axis=1, keepdims=True)
        if np.abs(new - q).max() < 1e-4:
            return new
        q = new
    return q


@cache
def reduced(unit: bytes, width: int) -> np.ndarray:
    """Principal components of embeddings, float64 [n, width] as bytes, in one scale."""
    rows = np.frombuffer(unit).reshape(-1, width)
    z: np.ndarray = PCA(min(COMPONENTS, *rows.shape), random_state=0).fit_transform(rows)
    return z / z.std()


def sliced(seen: Seen, row: int) -> list[tuple[float, np.ndarray]]:
    """(score, images) of the slices of a class in which images of others score like it."""
    z = reduced(seen.unit.tobytes(), seen.unit.shape[1])
    y, s = (seen.label == row).astype(float), seen.above[:, row].astype(float)
    q = mixture(z, y, s, SLICES, row)
    part = q.argmax(axis=1)
    found = []
    for i in range(q.shape[1]):
        weight = q[:, i].sum() + 1e-9
        gap = float(q[:, i] @ (s - y) / weight)
        found.append((gap, np.flatnonzero((part == i) & (y == 0) & (s == 1))))
    return found


def worded(seen: Seen, row: int) -> list[tuple[float, np.ndarray]]:
    """(score, images) of the keywords of images of others that score like a class."""
    wrong = np.flatnonzero((seen.label != row) & seen.above[:, row])
    right = np.flatnonzero(seen.label == row)
    if not len(wrong) or not len(right):
        return []
    sees = (seen.labeller @ seen.words.T).astype(np.float32)
    gain = sees[wrong].mean(axis=0) - sees[right].mean(axis=0)
    middle = (sees[wrong].mean(axis=0) + sees[right].mean(axis=0)) / 2
    best = np.argsort(-gain, kind="stable")[:WORDS]
    return [(float(gain[i]), wrong[sees[wrong, i] > middle[i]]) for i in best]


def listed(
    inputs: Inputs, seen: Seen, line: np.ndarray, by: Callable[[Seen, int], list[tuple[float, np.ndarray]]]
) -> Mined:
    """Sets of images in the columns of what is mined; a set's score is its place among those of its class."""
    flags, samples = [], []
    for row, class_id in enumerate(inputs.class_ids.tolist()):
        for number, (score, images) in enumerate(by(seen, row)):
            if score > 0 and len(images) >= LEAST:
                flags.append((class_id, row, number, len(images), score / len(images), 0.0))
                samples += [(class_id, number, int(i)) for i in images]
    names = ["class_id", "row", "component", "n_flagged", "mean_relevance", "q_value"]
    frame = pd.DataFrame(samples, columns=["class_id", "component", "image_id"])
    return Mined(pd.DataFrame(flags, columns=names), frame, line)


def main() -> None:
    """Print a row per seed and way, and the means over seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[116, 117, 118])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    print("| seed | by | recall | precision at 1 | at 2 | at 3 | average precision | cases |")
    print("|---|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for seed in arguments.seeds:
        results = run(seed, arguments.cores)
        inputs, seen, line = opened(results)
        ways = {
            "latents": mine(inputs, "act_x_grad", False),
            "slices": listed(inputs, seen, line, sliced),
            "keywords": listed(inputs, seen, line, worded),
        }
        for way, mined in ways.items():
            row = judge(mined, inputs, results)
            found.setdefault(way, []).append(row)
            print(f"| {seed} | {way} |", cells(row), flush=True)
    for way, rows in found.items():
        print(f"| mean | {way} |", cells(np.nanmean(np.array(rows, float), axis=0).tolist()))


def cells(row: list[float]) -> str:
    """The numbers of a row."""
    return " | ".join([*(f"{v:.2f}" for v in row[:-1]), f"{row[-1]:.3g}"]) + " |"


if __name__ == "__main__":
    main()
