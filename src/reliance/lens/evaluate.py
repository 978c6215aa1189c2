"""Stage `lens_accuracy`: zero-shot accuracy when effects of a block's neurons are taken away (V1, V2).

e = z/|z| of an image; dphi_n = phi_n - phibar_n, means over the training images. Rows are

    baseline                    e
    second_order                e without dphi of all neurons: all at their means
    significant, insignificant  without dphi of those above, or not above, their threshold on this image
    random                      without as many as are significant on this image, drawn at random
    direction                   dphi of all neurons along r_n alone
    words                       the same along the m-word form of r_n
    first_order                 without what the neurons write into the class token itself, centred too
    indirect                    all neurons of the block at their means [T, N] in a forward pass

`value` is the share of images above the threshold (the first three), the number of words, or nan.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.encoders.model import Clip, load_model
from reliance.encoders.vision import normaliser
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.lens.directions import Directions, read_directions
from reliance.lens.effects import at_means
from reliance.lens.paths import last_map, neuron_paths, writes
from reliance.lens.ranking import grams, norms
from reliance.lens.record import Wanted, recording
from reliance.lens.store import Coefficients, sampled
from reliance.lens.words import WORDS, dictionary, pursuit_of, reconstructed
from reliance.naming.names import read_vocabulary
from reliance.tails.remaining import pixels_of

ACCURACY = TableSpec(
    "lens_accuracy",
    1,
    (
        ("method", "string"),
        ("value", "float64"),
        ("accuracy", "float64"),
        ("images", "int64"),
        ("significant", "float64"),  # neurons per image that are, as a share; nan where nothing is chosen
    ),
)
_MEANS = 512  # training images that give the means of activations
_BATCH = 64


class Files(NamedTuple):
    """What accuracies are computed from."""

    coefficients: Path  # manifest of the test images
    directions: Path  # of the training images
    words: Path
    vocabulary: Path  # the encoder's own text vectors of names
    text: Path  # prompts of the classes
    weights: Path


def lens_accuracy(
    *,
    files: Files,
    index: Path,
    reading: Reading,
    accuracy: Path,
    counts: Sequence[int] = (),
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Write accuracies as ACCURACY. counts : of words.

    Raises RelianceError for files that do not belong together, or an image that can no longer be read.
    """
    torch.set_num_threads(threads)
    stored, (found, stamp) = Coefficients(files.coefficients), read_directions(files.directions)
    for name in ("weights", "index"):
        sides = (stored.stamp.inputs[name], stamp.inputs[name])
        check_same(name, (files.coefficients, sides[0]), (files.directions, sides[1]))
    words, prompts = read_table(files.words, WORDS), read_prompts(files.text)
    check_same("directions", (files.words, words.stamp.inputs["directions"]), (files.directions, stamp.id))
    clip = load_model(files.weights, device)
    block = int(stamp.params["block"])
    u = neuron_paths(clip, block, stamp.params["ln_mean"]).cpu().numpy()
    names = read_vocabulary(files.vocabulary)[0]
    taken, atoms = pursuit_of(words.frame, len(u)).atoms, dictionary(names.vectors)
    forms = {m: reconstructed(found.direction, atoms, taken, m) for m in counts}
    direct = (writes(clip, block) @ last_map(clip).T).cpu().numpy()
    split = str(stored.stamp.params["split"])
    classes = read_split(index, split).class_ids
    scores = _Scores(prompts)
    for arrays in stored.blocks():
        truth = classes[arrays["image_id"]]
        for method, value, e, share in replaced(arrays, found, u, forms, direct):
            scores.add(method, value, e, truth, share)
    for e, ids in _ablated(clip, block, index, split, stored, reading, threads):
        scores.add("indirect", np.nan, e, classes[ids], np.nan)
    inputs = {"coefficients": stored.stamp.id, "directions": stamp.id, "words": words.stamp.id}
    inputs |= {"text": prompts.stamp.id, "index": stored.stamp.inputs["index"]}
    write_table(accuracy, scores.table(), ACCURACY, {"words": list(counts)}, inputs)


def replaced(
    arrays: dict[str, np.ndarray],
    found: Directions,
    u: np.ndarray,
    forms: dict[int, np.ndarray],
    direct: np.ndarray,
) -> Iterator[tuple[str, float, np.ndarray, float]]:
    """(method, value, e [n, p], share of neurons that are significant) of n images."""
    e, n = arrays["embedding"], len(u)
    dc = arrays["coefficients"] - found.mean
    q = arrays.get("common")
    dq = None if q is None or found.common is None else (q - found.common) / n
    size = norms(dc, u, None if dq is not None else grams(u), dq)
    along = np.einsum("nmk,mk->nm", dc, np.einsum("mkp,mp->mk", u, found.direction))
    along = along if dq is None else along + dq @ found.direction.T

    def summed(mask: np.ndarray) -> np.ndarray:
        total: np.ndarray = (dc * mask[..., None]).reshape(len(e), -1) @ u.reshape(-1, e.shape[1])
        return total if dq is None else total + mask.sum(1, keepdims=True) * dq

    whole = summed(np.ones_like(size))
    yield "baseline", np.nan, e, np.nan
    yield "second_order", np.nan, e - whole, np.nan
    rng = np.random.default_rng(arrays["image_id"][:1].tolist())
    for place, share in enumerate(found.shares.tolist()):
        above = size > found.thresholds[:, place]
        part = summed(above)
        drawn = np.argsort(rng.random(size.shape), axis=1).argsort(1) < above.sum(1, keepdims=True)
        yield "significant", share, e - part, float(above.mean())
        yield "insignificant", share, e - whole + part, float(above.mean())
        yield "random", share, e - summed(drawn), float(above.mean())
    yield "direction", np.nan, e - whole + along @ found.direction, np.nan
    for m, form in forms.items():
        yield "words", m, e - whole + along @ form, np.nan
    yield "first_order", np.nan, e - (arrays["direct"] - found.direct) @ direct, np.nan


class _Scores:
    """Images that the right prompt wins, by method and value."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._sums: dict[tuple[str, float], np.ndarray] = {}

    def add(self, method: str, value: float, e: np.ndarray, truth: np.ndarray, share: float) -> None:
        """Of images with a class."""
        known = np.isin(truth, self._prompts.class_ids)
        won = self._prompts.class_ids[(e[known] @ self._prompts.vectors.T).argmax(1)] == truth[known]
        key = (method, -1.0 if np.isnan(value) else round(float(value), 6))
        row = np.array([won.sum(), len(won), 0.0 if np.isnan(share) else share * len(won)])
        self._sums[key] = self._sums.get(key, np.zeros(3)) + row

    def table(self) -> pd.DataFrame:
        """As ACCURACY."""
        rows = [
            {
                "method": method,
                "value": np.nan if value < 0 else value,
                "accuracy": won / max(1, images),
                "images": int(images),
                "significant": share / max(1, images) if method in CHOSEN else np.nan,
            }
            for (method, value), (won, images, share) in self._sums.items()
        ]
        return pd.DataFrame(rows, columns=[name for name, _ in ACCURACY.columns])


CHOSEN = ("significant", "insignificant", "random")


def _ablated(
    clip: Clip,
    block: int,
    index: Path,
    split: str,
    stored: Coefficients,
    reading: Reading,
    threads: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(e, image_id) of the stored images with all neurons at their means over some training images."""
    normalise = normaliser(clip.weights.preprocess, clip.device)
    train, means = read_split(index, "train"), list[torch.Tensor]()
    pixels = pixels_of(train, reading, clip, threads)
    rows = sampled(len(train.paths), _MEANS)
    with recording(clip, Wanted((block,))) as recorder:
        for start in range(0, len(rows), _BATCH):
            batch = recorder.run(pixels(rows[start : start + _BATCH]).to(clip.device))
            means.append(batch.neurons[block].double().sum(0) / len(rows))
    own = pixels_of(read_split(index, split), reading, clip, threads)
    with at_means(clip, block, torch.stack(means).sum(0).float(), None), torch.inference_mode():
        for arrays in stored.blocks(_BATCH):
            z = clip.model.encode_image(normalise(own(arrays["image_id"])))
            yield torch.nn.functional.normalize(z, dim=1).cpu().numpy(), arrays["image_id"]
