"""Classes whose prompts say the same: they cannot both win, whatever an image shows."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reliance.base.telling import tell

log = logging.getLogger(__name__)
NEARLY_EQUAL = 0.9995  # cosine of text vectors
TOLD = 10  # pairs
_ROWS = 1024  # at a time, so that no matrix classes x classes is made


class Twins(NamedTuple):
    """Two classes with one prompt, or nearly equal text vectors."""

    first: int  # class_id, the smaller one
    second: int
    cosine: float
    same_prompts: bool


def twins(
    class_ids: np.ndarray,
    vectors: np.ndarray,
    prompts: Sequence[Sequence[str]] | None = None,
    nearly: float = NEARLY_EQUAL,
) -> list[Twins]:
    """Pairs of classes with equal prompts or a cosine above `nearly`, the nearest first.

    class_ids [C]; vectors [C, p], of any length but 0; prompts : of each class.
    """
    unit = np.asarray(vectors, np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    said = [tuple(own) for own in prompts] if prompts is not None else []
    numbers: dict[tuple[str, ...], int] = {}
    group = np.array([numbers.setdefault(own, len(numbers)) for own in said] or np.arange(len(unit)))
    found = []
    for start in range(0, len(unit), _ROWS):
        block = unit[start : start + _ROWS]
        cosines = block @ unit.T
        near = (cosines > nearly) | (group[start : start + _ROWS, None] == group[None])
        rows, columns = np.nonzero(near)
        for i, j in zip(rows + start, columns, strict=True):
            if i < j:
                low, high = sorted((int(class_ids[i]), int(class_ids[j])))
                found.append(Twins(low, high, float(cosines[i - start, j]), bool(group[i] == group[j])))
    return sorted(found, key=lambda pair: (-pair.cosine, pair.first, pair.second))


def tell_twins(pairs: Sequence[Twins], names: dict[int, str], where: object) -> list[str]:
    """Say which classes cannot both win: the first pairs, one sentence each, which are returned."""
    sentences = []
    for pair in pairs[:TOLD]:
        first, second = (f"{names.get(i, '')} (class {i})" for i in (pair.first, pair.second))
        why = "have the same prompt" if pair.same_prompts else f"have vectors of cosine {pair.cosine:.4f}"
        sentences.append(f"classes {first} and {second} {why}: they cannot both win")
        tell(log, "%s: %s", where, sentences[-1])
    if len(pairs) > TOLD:
        sentences.append(f"{len(pairs)} such pairs of classes in all")
    return sentences
