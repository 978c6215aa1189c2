"""Stage `lens_cases`: which heads and neurons carry a failure case, and what is left of it without them.

Of each mined case the heads are taken that add most to y of its class on the distractors, above what they add
on evenly spaced training images; neurons likewise, of one block, through later attention. Then they are held
at their means in a forward pass, and beside them as many drawn at random: y of distractors and of the class's
own test images, the area under the ROC curve that tells the two apart, and zero-shot accuracy on test images.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.base.artifacts import TableSpec, write_table
from reliance.encoders.model import Clip, load_model
from reliance.encoders.vision import normaliser
from reliance.failures.case_list import read_failures, read_samples
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.lens.effects import at_means, coefficients
from reliance.lens.heads import Head, head_means, heads_at_means
from reliance.lens.maps import prompt_maps
from reliance.lens.paths import neuron_paths
from reliance.lens.record import Wanted, blocks_of, place_in, recording
from reliance.lens.store import sampled
from reliance.robustness.auc import auc
from reliance.tails.remaining import pixels_of

CASES = TableSpec(
    "lens_cases",
    1,
    (
        ("failure_id", "string"),
        ("kind", "string"),  # of the case
        ("class_id", "int32"),
        ("ablated", "string"),  # nothing | heads | random heads | neurons | random neurons
        ("which", "string"),  # "2.1" is head or neuron 1 of block 2; of random draws ""
        ("y_distractors", "float32"),
        ("y_own", "float32"),
        ("auc", "float32"),  # of own images against distractors
        ("accuracy", "float32"),  # zero-shot, on test images of all classes
        ("distractors", "int32"),
    ),
)
HEADS, NEURONS, DRAWS = 2, 20, 2
MOST, REFERENCE, JUDGED = 40, 256, 250  # images of each side of a case; for means; for accuracy
_BATCH = 64


class Files(NamedTuple):
    """What cases are read from."""

    failures: Path
    failure_samples: Path
    text: Path  # prompts of the classes that the cases were mined for
    weights: Path


class _Case(NamedTuple):
    failure_id: str
    kind: str
    class_id: int
    place: int  # of the prompt
    distractors: torch.Tensor  # pixels as the model takes them
    own: torch.Tensor


def lens_cases(
    *,
    files: Files,
    index: Path,
    reading: Reading,
    cases: Path,
    dataset: str,
    block: int,
    most: int = 30,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Write what is left of each case as CASES. block : whose neurons. most : cases, in the list's order."""
    torch.set_num_threads(threads)
    clip, prompts = load_model(files.weights, device), read_prompts(files.text)
    listed, stamp = read_failures(files.failures)
    samples, samples_stamp = read_samples(files.failure_samples)
    model = _Model(clip, prompts, place_in(clip, block), index, reading, threads)
    rng = np.random.default_rng(seed)
    rows = [
        row
        for case in model.cases(listed.head(most), samples[samples["dataset"] == dataset])
        for row in model.judged(case, rng)
    ]
    frame = pd.DataFrame(rows, columns=[name for name, _ in CASES.columns])
    params = {"block": block, "most": most, "seed": seed, "heads": HEADS, "neurons": NEURONS}
    ids = {"failures": stamp.id, "samples": samples_stamp.id, "text": prompts.stamp.id}
    write_table(cases, frame, CASES, params, {**ids, "weights": clip.stamp.id})


class _Model:
    """A model, its means, and images to judge it by."""

    def __init__(
        self, clip: Clip, prompts: Prompts, block: int, index: Path, reading: Reading, threads: int
    ) -> None:
        self.clip, self.prompts, self.block = clip, prompts, block
        self.text = torch.from_numpy(prompts.vectors).to(clip.device)
        self._normalise = normaliser(clip.weights.preprocess, clip.device)
        self._splits = {name: read_split(index, name) for name in ("train", "test")}
        self._pixels = {name: pixels_of(rows, reading, clip, threads) for name, rows in self._splits.items()}
        blocks = len(blocks_of(clip))
        self._wanted = Wanted((block,), tuple(range(blocks)), streams=True)
        reference = self.images("train", sampled(len(self._splits["train"].paths), REFERENCE))
        self.means = head_means(clip, torch.split(reference, _BATCH))
        with recording(clip, Wanted((block,))) as recorder:
            parts = [
                recorder.run_images(part).neurons[block].sum(0) for part in torch.split(reference, _BATCH)
            ]
        self.neuron_means = torch.stack(parts).sum(0) / len(reference)
        self.usual = self._contributions(reference)
        test = self._splits["test"]
        ids = sampled(len(test.paths), JUDGED)
        self._judged, self._classes = self.images("test", ids), test.class_ids[ids]

    def images(self, split: str, ids: np.ndarray) -> torch.Tensor:
        """Pixels as the model takes them."""
        return self._normalise(self._pixels[split](ids))

    def cases(self, listed: pd.DataFrame, samples: pd.DataFrame) -> Iterator[_Case]:
        """Cases with images on both sides."""
        test = self._splits["test"].class_ids
        for case in listed.to_dict("records"):
            own = np.flatnonzero(test == case["class_id"])[:MOST]
            found = samples[samples["failure_id"] == case["failure_id"]].head(MOST)
            split = str(found["split"].iloc[0]) if len(found) else ""
            place = np.flatnonzero(self.prompts.class_ids == case["class_id"])
            ids = found.loc[found["split"] == split, "image_id"].to_numpy()
            if split in self._splits and len(own) and len(place):
                pictures = self.images(split, ids), self.images("test", own)
                names = str(case["failure_id"]), str(case["kind"]), int(case["class_id"])
                yield _Case(*names, int(place[0]), *pictures)

    def judged(self, case: _Case, rng: np.random.Generator) -> Iterator[tuple[object, ...]]:
        """Rows of CASES."""
        heads, neurons = (
            here - usual
            for here, usual in zip(self._contributions(case.distractors), self.usual, strict=True)
        )
        chosen = _best(heads[case.place], HEADS)
        cells = [neuron for _, neuron in _best(neurons[case.place][None], NEURONS)]
        yield self._row(case, "nothing", "", nullcontext())
        named = ", ".join(f"{block}.{head}" for block, head in chosen)
        yield self._row(case, "heads", named, heads_at_means(self.clip, chosen, self.means))
        named = ", ".join(f"{self.block}.{neuron}" for neuron in cells[:5])
        yield self._row(case, "neurons", named, self._without(cells))
        every = [(block, head) for block in range(heads.shape[1]) for head in range(heads.shape[2])]
        for _ in range(DRAWS):
            drawn = [every[i] for i in rng.choice(len(every), len(chosen), replace=False)]
            yield self._row(case, "random heads", "", heads_at_means(self.clip, drawn, self.means))
            some = rng.choice(neurons.shape[1], len(cells), replace=False).tolist()
            yield self._row(case, "random neurons", "", self._without(some))

    def _without(self, neurons: Sequence[int]) -> AbstractContextManager[None]:
        return at_means(self.clip, self.block, self.neuron_means, neurons)

    def _contributions(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean of what heads [C, L, H] and neurons [C, N] add to y of each prompt."""
        ways = torch.einsum("mkp,cp->mkc", neuron_paths(self.clip, self.block), self.text)
        heads, neurons = [], []
        with recording(self.clip, self._wanted) as recorder, torch.inference_mode():
            for part in torch.split(images, _BATCH):
                found = recorder.run_images(part)
                heads.append(prompt_maps(self.clip, found, self.text).heads().sum(0))
                neurons.append(torch.einsum("nmk,mkc->cm", coefficients(found, self.block), ways))
        return torch.stack(heads).sum(0) / len(images), torch.stack(neurons).sum(0) / len(images)

    def _row(
        self, case: _Case, ablated: str, which: str, changed: AbstractContextManager[None]
    ) -> tuple[object, ...]:
        with changed:
            distractors, own = (self._y(images)[:, case.place] for images in (case.distractors, case.own))
            winners = self.prompts.class_ids[self._y(self._judged).argmax(1)]
        accuracy = float((winners == self._classes).mean())
        said = (case.failure_id, case.kind, case.class_id, ablated, which)
        area = auc(own.astype(np.float64), distractors.astype(np.float64)).value
        return (*said, distractors.mean(), own.mean(), area, accuracy, len(distractors))

    def _y(self, images: torch.Tensor) -> np.ndarray:
        """y float32 [n, C]."""
        with torch.inference_mode():
            parts = [self.clip.model.encode_image(part) for part in torch.split(images, _BATCH)]
            unit = torch.nn.functional.normalize(torch.cat(parts), dim=1)
            found: np.ndarray = (unit @ self.text.T).cpu().numpy()
        return found


def _best(values: torch.Tensor, count: int) -> list[Head]:
    """(row, column) of the largest values [r, c]."""
    places = values.flatten().topk(min(count, values.numel())).indices.tolist()
    return [divmod(int(place), values.shape[1]) for place in places]


def repaired(cases: pd.DataFrame) -> pd.DataFrame:
    """By kind and by what was ablated, means over cases: areas, accuracy, share of the failure repaired.

    The share is (auc - auc before) / (1 - auc before), of the sums over cases with an auc before below 0.99:
    a mean of shares is of the cases that miss least.
    """
    before = cases[cases["ablated"] == "nothing"].set_index("failure_id")
    known = cases.assign(
        before=cases["failure_id"].map(before["auc"]), whole=cases["failure_id"].map(before["accuracy"])
    )
    open_ = known["before"] < 0.99
    gained, missing = (known["auc"] - known["before"]).where(open_), (1 - known["before"]).where(open_)
    known = known.assign(gained=gained, missing=missing, lost=known["whole"] - known["accuracy"])
    grouped = known.groupby(["kind", "ablated"], sort=False)
    sums = grouped[["gained", "missing"]].sum(min_count=1)
    found = grouped[["before", "auc", "lost"]].mean().assign(repaired=sums["gained"] / sums["missing"])
    return found.assign(cases=grouped["failure_id"].nunique()).reset_index()
