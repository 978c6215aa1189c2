"""Names for components, from the labeller's view of their top images (Eq. 2).

xbar_j = mean of the labeller's embeddings of the top images, not normalised
s_j(t) = cos(xbar_j, t) - cos(xbar_j, t_empty)
label  = the t of the vocabulary with the largest s_j, its alignment
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import Stamp, read_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import Top
from reliance.encoders.text import TEXT

_SCORES = 1 << 25  # scores held at a time


class Pooled(NamedTuple):
    """The labeller's view of the top images of every component."""

    mean: np.ndarray  # of the embeddings, float64 [m, p]
    mean_unit: np.ndarray  # of the embeddings scaled to unit norm, float64 [m, p]
    n: np.ndarray  # embeddings that went in, int64 [m]


class Vocabulary(NamedTuple):
    """What components can be called."""

    names: np.ndarray  # object [w], without repetition
    vectors: np.ndarray  # float32 [w, p], unit norm
    empty: np.ndarray  # float32 [p], the empty prompt, unit norm


class Names(NamedTuple):
    """The best and the second best name of each component."""

    label: np.ndarray  # object [c]
    alignment: np.ndarray  # s_j of the label, float64 [c]
    runner_up: np.ndarray  # object [c]; "" if the vocabulary has one name


def pool_top(top: Top, m: int, z: Callable[[int, int], np.ndarray], rows: int, block_rows: int) -> Pooled:
    """Pool the embeddings of every component's top images, reading each range of images once.

    z(start, stop) gives embeddings [n, p] of images [start, stop); a zero row is an unreadable
    image and is left out. rows : images of the split.
    """
    order = np.argsort(top.image_id, kind="stable")
    image_id, component = top.image_id[order], top.component[order]
    pooled: Pooled | None = None
    for start in range(0, rows, block_rows):
        stop = min(start + block_rows, rows)
        low, high = np.searchsorted(image_id, [start, stop])
        embedding = z(start, stop).astype(np.float64)
        if pooled is None:
            zeros = np.zeros((m, embedding.shape[1]))
            pooled = Pooled(zeros, zeros.copy(), np.zeros(m, np.int64))
        length = np.linalg.norm(embedding, axis=1, keepdims=True)
        unit = np.divide(embedding, length, out=np.zeros_like(embedding), where=length > 0)
        local, group = image_id[low:high] - start, component[low:high]
        _add_rows(pooled.mean, group, embedding, local)
        _add_rows(pooled.mean_unit, group, unit, local)
        pooled.n[:] += np.bincount(group[length[local, 0] > 0], minlength=m)
    if pooled is None:
        raise ValueError("a split has at least one row")
    n = np.maximum(pooled.n, 1)[:, None]
    return Pooled(pooled.mean / n, pooled.mean_unit / n, pooled.n)


def _add_rows(sums: np.ndarray, group: np.ndarray, matrix: np.ndarray, rows: np.ndarray) -> None:
    """sums[group[i]] += matrix[rows[i]] for every i, some thousand at a time."""
    order = np.argsort(group, kind="stable")
    for start in range(0, len(order), 4096):
        chosen = order[start : start + 4096]
        groups, first = np.unique(group[chosen], return_index=True)
        sums[groups] += np.add.reduceat(matrix[rows[chosen]], first, axis=0)


def read_vocabulary(path: Path) -> tuple[Vocabulary, Stamp]:
    """Read a vocabulary: the empty prompt with prompt_id 0, then one name per row.

    Raises RelianceError if the empty prompt is not there, or nothing else is.
    """
    frame, stamp = read_table(path, TEXT, columns=["prompt_id", "prompts", "embedding"])
    frame = frame.sort_values("prompt_id", kind="stable")
    names = [prompts[0] for prompts in frame["prompts"]]
    if len(names) < 2 or names[0] != "" or frame["prompt_id"].iloc[0] != 0:
        raise RelianceError(
            path,
            "a vocabulary has the empty prompt as prompt_id 0, and names after it",
            found=f"{len(names)} prompts, the first {names[:1]}",
            allowed="the prompt set 'vocabulary'",
            next_step="another prompt set was given: check which text table the rule names",
        )
    vectors = np.stack(frame["embedding"].to_list())
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    first = {name: i for i, name in reversed(list(enumerate(names))) if i > 0}
    kept = sorted(first.values())
    return Vocabulary(np.array(names, dtype=object)[kept], vectors[kept], vectors[0]), stamp


def name_components(mean: np.ndarray, vocabulary: Vocabulary) -> Names:
    """The name with the largest s_j for every row of `mean` [c, p] (Eq. 2), in blocks of rows.

    Of equal scores the name with the lowest prompt_id wins.
    """
    step = max(1, _SCORES // len(vocabulary.names))
    best, second = np.zeros(len(mean), np.int64), np.zeros(len(mean), np.int64)
    alignment = np.zeros(len(mean))
    for start in range(0, len(mean), step):
        rows = slice(start, start + step)
        unit = mean[rows] / np.linalg.norm(mean[rows], axis=1, keepdims=True)
        scores = unit.astype(np.float32) @ vocabulary.vectors.T
        here = np.arange(len(scores))
        best[rows] = scores.argmax(1)
        alignment[rows] = align(unit, vocabulary.vectors[best[rows]], vocabulary.empty)
        scores[here, best[rows]] = -np.inf
        second[rows] = scores.argmax(1)
    only_one = len(vocabulary.names) == 1
    runner_up = np.full(len(mean), "", dtype=object) if only_one else vocabulary.names[second]
    return Names(vocabulary.names[best], alignment, runner_up)


def align(mean: np.ndarray, text: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """s(t) = cos(mean, t) - cos(mean, t_empty) of every row of `mean` with its row of `text` (Eq. 2).

    mean [c, p] of any length, text [c, p] and empty [p] of unit length. Returns [c].
    """
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    result: np.ndarray = np.einsum("cp,cp->c", unit, text - empty)
    return result
