"""Which classes the distractors of a case are of, and how near that is to the case's own class."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reliance.encoders.stored import Embeddings


class Main(NamedTuple):
    """The most frequent class among distractors; the smallest id of several."""

    class_id: int  # -1 if no distractor has a class
    share: float  # of the distractors; nan without any
    flagged: float  # share of the class's images of the view that are distractors


class Centre(NamedTuple):
    """A class as an embedding sees it."""

    mean: np.ndarray  # mean unit embedding, normalised, float64 [p]
    usual: float  # median cosine of its images with `mean`


def main_class(images: np.ndarray, labels: np.ndarray, class_images: Mapping[int, np.ndarray]) -> Main:
    """The main class of distractors `images` (image_ids); labels [N] are the class_ids of the split."""
    known = labels[images]
    known = known[known >= 0]
    if not len(known):
        return Main(-1, float("nan"), float("nan"))
    classes, counts = np.unique(known, return_counts=True)
    class_id, count = int(classes[counts.argmax()]), int(counts.max())
    return Main(class_id, count / len(images), count / len(class_images[class_id]))


def class_centres(
    embeddings: Embeddings, class_images: Mapping[int, np.ndarray], classes: Sequence[int], block_rows: int
) -> dict[int, Centre]:
    """The centre of each class over its readable images, block_rows at a time; without one there is none."""
    valid, found = embeddings.read("valid").astype(bool), {}
    for class_id in classes:
        rows = class_images[class_id]
        rows = rows[valid[rows]]
        if not len(rows):
            continue
        blocks = [rows[start : start + block_rows] for start in range(0, len(rows), block_rows)]
        total = np.sum([unit_rows(embeddings, block).sum(axis=0) for block in blocks], axis=0)
        mean = total / np.linalg.norm(total)
        cosines = np.concatenate([unit_rows(embeddings, block) @ mean for block in blocks])
        found[class_id] = Centre(mean, float(np.median(cosines)))
    return found


def unit_rows(embeddings: Embeddings, rows: np.ndarray) -> np.ndarray:
    """Unit embeddings of some rows, float64 [n, p]."""
    z = embeddings.z_of(rows).astype(np.float64)
    unit: np.ndarray = z / np.linalg.norm(z, axis=1, keepdims=True)
    return unit
