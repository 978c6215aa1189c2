"""What images show: their classes, words, and whether they fall into clearly different groups."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

CLEAR, BY_CLASS = 0.65, 0.25  # silhouettes from which two groups are two; where they are of two classes
PURE = 0.8  # share of a group that is of one class
PARTS = 5  # a part is one in so many of a case's images at least
_STEPS = 50


class Vocabulary(NamedTuple):
    """Names, as the labeller reads them, and what all images look like to it."""

    names: Sequence[str]
    vectors: np.ndarray  # unit [V, p]
    usual: np.ndarray  # mean unit embedding of images [p]


def words_of(unit: np.ndarray, vocabulary: Vocabulary, count: int = 3) -> list[str]:
    """The names that images, unit embeddings [n, p], look like more than usual images do."""
    if not len(unit) or not len(vocabulary.names):
        return []
    mean = unit.mean(axis=0)
    gain = vocabulary.vectors @ (_unit(mean) - _unit(vocabulary.usual))
    best = np.argsort(-gain, kind="stable")[:count]
    return [vocabulary.names[i] for i in best if gain[i] > max(gain[best[0]] / 2, 0)]


def classes_of(class_ids: np.ndarray, names: Mapping[int, str], count: int = 3) -> list[str]:
    """The most frequent classes of images with their shares, "cow 45 %"; class_ids int [n]."""
    known, counts = np.unique(class_ids, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:count]
    return [f"{names.get(int(known[i]), '?')} {counts[i] / len(class_ids):.0%}" for i in order]


def parts_of(unit: np.ndarray, class_ids: np.ndarray, least: int) -> np.ndarray:
    """1 or 2 for every image of a case whose images are clearly of two kinds, else 0; int64 [n].

    unit : labeller's unit embeddings [n, p]. class_ids : [n]. least : images of a part at least, which is a
    fifth of all at least: fewer are exceptions, no kind. Two parts are those of 2-means by cosine. They are
    clearly different if images are much nearer to their own centre than to the other (mean of
    1 - d_own / d_other), or somewhat nearer and each of one class.
    """
    none = np.zeros(len(unit), np.int64)
    least = max(least, -(-len(unit) // PARTS))
    if len(unit) < 2 * least:
        return none
    part = clusters(unit, 2)
    if min(np.bincount(part, minlength=2)) < least:
        return none
    centres = np.stack([_unit(unit[part == i].mean(axis=0)) for i in (0, 1)])
    distance = 1 - unit @ centres.T
    own, other = distance[np.arange(len(unit)), part], distance[np.arange(len(unit)), 1 - part]
    apart = float(np.mean(1 - own / np.maximum(other, 1e-12)))
    main = [_main(class_ids[part == i]) for i in (0, 1)]
    of_two = main[0][0] != main[1][0] and min(main[0][1], main[1][1]) >= PURE
    clear = apart >= CLEAR or (of_two and apart >= BY_CLASS)
    return part + 1 if clear else none


def clusters(unit: np.ndarray, count: int) -> np.ndarray:
    """Clusters 0, 1, ... of unit embeddings [n, p] by k-means on the sphere, the largest first; int64 [n].

    Centres start at the image farthest from the mean, then at the one farthest from all centres: no chance.
    """
    count = min(count, len(unit))
    if count < 2:
        return np.zeros(len(unit), np.int64)
    nearest = unit @ _unit(unit.mean(axis=0))
    chosen = [int(nearest.argmin())]
    nearest = unit @ unit[chosen[0]]
    for _ in range(count - 1):
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, unit @ unit[chosen[-1]])
    centres = unit[chosen].astype(np.float64)
    part = np.full(len(unit), -1)
    for _ in range(_STEPS):
        new = (unit @ centres.T).argmax(axis=1)
        if (new == part).all():
            break
        part = new
        for i in np.unique(part):
            centres[i] = _unit(unit[part == i].mean(axis=0))
    sizes = np.bincount(part, minlength=count)
    rank = np.empty(count, np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(count)
    found: np.ndarray = rank[part]
    return found


def _main(class_ids: np.ndarray) -> tuple[int, float]:
    known, counts = np.unique(class_ids, return_counts=True)
    best = int(counts.argmax())
    return int(known[best]), float(counts[best] / len(class_ids))


def _unit(vector: np.ndarray) -> np.ndarray:
    found: np.ndarray = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return found
