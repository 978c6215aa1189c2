"""Stage `zero_shot`: how often a class's own prompt wins, top-1 and top-5, per set of prompts.

An image is of the class whose text vector its embedding has the largest cosine with. Of classes that tie
with the right one, as those with one text vector do, any may win: an image with h classes above the right
one and t that tie with it counts clip((k - h) / (t + 1), 0, 1) at top-k, what a draw would give on average.

Held against what knows nothing of images: `chance` (k of C classes, drawn) and `majority` (always the k
most frequent classes).
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliance.base.artifacts import Stamp, check_same, derived_stamp, read_table, write_json
from reliance.encoders.text import TEXT
from reliance.robustness.inputs import Embedded, open_split, unit_blocks

log = logging.getLogger(__name__)
KIND, SCHEMA = "zero_shot", 1
KS = (1, 5)
TIED = 1e-9  # cosines closer than this are equal but for rounding
CLEARLY = 2.0  # standard errors above what knows nothing of images
BLOCK_COSINES = 1 << 22  # cosines that are held at a time, float64


class Prompts(NamedTuple):
    """Text vectors of a set of prompts, one per class, by class_id."""

    short: Path
    templated: Path
    extended: Path
    both: Path


class Accuracy(NamedTuple):
    """A share of images and its standard error, sqrt(p (1 - p) / n) where none tie."""

    share: float
    error: float


def zero_shot(
    *, index: Path, embeddings: Path, prompts: Prompts, accuracies: Path, block_rows: int = 8192
) -> Stamp:
    """Write the accuracies of an encoder on the labelled, readable images of the test split (JSON).

    index, embeddings : of one data set, and the split's manifest. accuracies : output:
    {"images", "classes", "counts": [C], "chance", "majority": {top1, top5}, "prompt_sets": {set: {"top1",
    "top5": [share, error], "per_class": [C] top-1, null without images}}}; shares are null without images.
    Raises RelianceError if prompts are of other weights.
    """
    opened = open_split(index, embeddings, "test")
    labels = opened.class_ids[opened.class_ids >= 0]
    found: dict[str, Any] = {}
    ids = dict(opened.ids)
    classes = 0
    for name, path in prompts._asdict().items():
        frame, stamp = read_table(path, TEXT, columns=["class_id", "embedding"])
        check_same("weights", (path, stamp.inputs["weights"]), (embeddings, opened.ids["weights"]))
        ids[name], classes = stamp.id, len(frame)
        text = np.stack(frame.sort_values("class_id")["embedding"].to_list() or [np.zeros(1)])[:classes]
        found[name] = of_prompts(hits(opened, text, block_rows), labels, classes)
        log.info("%s: %s", name, {key: value for key, value in found[name].items() if key != "per_class"})
    counts = np.bincount(labels, minlength=classes)
    record = {
        "images": len(labels),
        "classes": classes,
        "counts": counts.tolist(),
        "chance": {f"top{k}": min(k, classes) / classes if classes else None for k in KS},
        "majority": {f"top{k}": _most_frequent(counts, k) for k in KS},
        "prompt_sets": found,
    }
    return write_json(accuracies, record, derived_stamp(KIND, SCHEMA, {"split": "test"}, ids))


def hits(opened: Embedded, text: np.ndarray, block_rows: int) -> np.ndarray:
    """What every labelled image counts at top-1 and top-5, float64 [2, n]; text [C, p] of unit length."""
    rows = max(1, min(block_rows, BLOCK_COSINES // max(1, len(text))))
    found = [
        credit(unit.astype(np.float64) @ text.T.astype(np.float64), opened.class_ids[at])
        for at, unit in unit_blocks(opened.embeddings, opened.class_ids >= 0, rows)
    ]
    return np.concatenate(found, axis=1) if found else np.zeros((len(KS), 0))


def credit(cosines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The same from cosines [n, C] and the right classes int [n]."""
    right = cosines[np.arange(len(labels)), labels][:, None]
    above = (cosines > right + TIED).sum(axis=1)
    tied = (np.abs(cosines - right) <= TIED).sum(axis=1)  # the right class is one of them
    none = np.isnan(right[:, 0])  # an image without a direction is like none of the classes: a draw of all
    above, tied = np.where(none, 0, above), np.where(none, cosines.shape[1], tied)
    return np.stack([((k - above) / tied).clip(0, 1) for k in KS])


def of_prompts(counted: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """Accuracies of one set of prompts from what its images count, [2, n]."""
    found: dict[str, Any] = {f"top{k}": list(accuracy(own)) for k, own in zip(KS, counted, strict=True)}
    if not len(labels):
        found = {name: [None, None] for name in found}
    n = np.bincount(labels, minlength=classes)
    right = np.bincount(labels, weights=counted[0], minlength=classes)
    found["per_class"] = [float(r / c) if c else None for r, c in zip(right, n, strict=True)]
    return found


def accuracy(counted: np.ndarray) -> Accuracy:
    """Mean and standard error of what n images count; nan for none."""
    if not len(counted):
        return Accuracy(np.nan, np.nan)
    return Accuracy(float(counted.mean()), float(counted.std() / np.sqrt(len(counted))))


def beats_baselines(record: Mapping[str, Any], prompt_set: str) -> bool | None:
    """Whether top-1 is clearly above chance and the most frequent class; None if there is nothing to say."""
    share, error = record["prompt_sets"][prompt_set]["top1"]
    if share is None or record["classes"] < 2:
        return None
    return bool(share - CLEARLY * error > max(record["chance"]["top1"], record["majority"]["top1"]))


def _most_frequent(counts: Sequence[int] | np.ndarray, k: int) -> float | None:
    """Share of images of the k most frequent classes."""
    total = int(np.sum(counts))
    return float(np.sort(counts)[::-1][:k].sum() / total) if total else None
