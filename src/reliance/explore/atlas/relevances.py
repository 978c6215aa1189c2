"""What drives the outputs of the images shown: for their own class, the best one, and those of cases."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.inputs import Computing, Explained, Inputs, open_inputs, open_tail
from reliance.explore.atlas.chunks import scaled
from reliance.tails.protocol import ABLATION, Tail

UNITS, CLASSES = 24, 5  # listed of an image


class Asked(NamedTuple):
    """Images of one split."""

    number: np.ndarray  # of each image in the atlas, int64 [n]
    image_id: np.ndarray  # ascending, int64 [n]


def image_records(
    files: Mapping[str, Explained],
    images: pd.DataFrame,
    prompts: Mapping[int, set[int]],
    computing: Computing,
) -> list[dict[str, Any]]:
    """One record per image, by number.

    files : by split. images : split, image_id and class_id by number. prompts : further classes by number.
    An image that could not be embedded has no units.
    """
    records = empty_records(images)
    for split, explained in files.items():
        own = images[images["split"] == split].sort_values("image_id")
        if own.empty:
            continue
        inputs = open_inputs(explained, split)
        tail = open_tail(inputs.units, inputs.head, inputs.text, computing)
        asked = Asked(own.index.to_numpy(), own["image_id"].to_numpy())
        for number, found in explained_images(inputs, tail, asked, prompts, computing.block_rows):
            records[number].update(found)
    return records


def empty_records(images: pd.DataFrame) -> list[dict[str, Any]]:
    """A record of every image, by number, of which nothing is known."""
    known = zip(*(images[name].tolist() for name in ("split", "image_id", "class_id")), strict=True)
    return [{"s": s, "i": i, "c": c, "top": [], "u": [], "a": [], "r": {}} for s, i, c in known]


def explained_images(
    inputs: Inputs, tail: Tail, asked: Asked, prompts: Mapping[int, set[int]], block_rows: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, what to add to its record) of every image that could be embedded."""
    row_of = {int(c): row for row, c in enumerate(inputs.class_ids)}
    for start, stop in inputs.embeddings.blocks(block_rows):
        first, last = np.searchsorted(asked.image_id, (start, stop))
        rows, numbers = asked.image_id[first:last], asked.number[first:last]
        valid = inputs.embeddings.read("valid", start, stop)[rows - start].astype(bool) if len(rows) else []
        rows, numbers = rows[valid], numbers[valid]
        if not len(rows):
            continue
        x = inputs.embeddings.read("x", start, stop)[rows - start].astype(np.float32)
        values, indices = (array[rows - start] for array in inputs.units.block(start, stop))
        scores = tail.score(x, values, indices)
        best = scores.y.topk(min(CLASSES, scores.y.shape[1]), dim=1)
        asked_for = [
            _prompts(inputs.labels[row], top, prompts.get(int(number), set()), row_of)
            for row, top, number in zip(rows, best.indices[:, 0].tolist(), numbers, strict=True)
        ]
        pairs = [(place, prompt) for place, each in enumerate(asked_for) for prompt in each]
        place, prompt = (torch.tensor(column, device=scores.y.device) for column in zip(*pairs, strict=True))
        relevance = scores.relevance(ABLATION, place, prompt).cpu().numpy()
        ends = np.cumsum([0, *map(len, asked_for)])
        for i, number in enumerate(numbers.tolist()):
            top = zip(best.indices[i].tolist(), best.values[i].tolist(), strict=True)
            listed = [[int(inputs.class_ids[c]), *scaled([y], 1e4)] for c, y in top]
            ours = inputs.class_ids[asked_for[i]]
            y = scores.y[i, asked_for[i]].cpu().numpy()
            found = _units(values[i], indices[i], relevance[ends[i] : ends[i + 1]], ours, y)
            yield number, {"top": listed, **found}


def _prompts(label: int, top: int, further: set[int], row_of: Mapping[int, int]) -> list[int]:
    """Rows of the classes an image is explained for: its own, the best one, others asked for; each once."""
    own = [int(label)] if label >= 0 else []
    return list(dict.fromkeys([*own, int(top), *(row_of[c] for c in sorted(further) if c in row_of)]))


def _units(
    values: np.ndarray, indices: np.ndarray, relevance: np.ndarray, classes: np.ndarray, y: np.ndarray
) -> dict[str, Any]:
    """The active units that matter most for a prompt, the most active first, and relevances by class."""
    active = np.flatnonzero(values != 0)
    weight = np.abs(relevance[:, active]).max(0)
    kept = active[np.sort(np.argsort(-weight, kind="stable")[:UNITS])]
    kept = kept[np.argsort(-np.abs(values[kept]), kind="stable")]
    pairs = zip(classes.tolist(), y, relevance[:, kept], strict=True)
    return {
        "u": indices[kept].tolist(),
        "a": scaled(values[kept], 100),
        "r": {str(c): [*scaled([output], 1e4), *scaled(row, 1e5)] for c, output, row in pairs},
    }
