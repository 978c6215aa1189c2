"""A direction as a sparse sum of texts, by orthogonal matching pursuit (B1.8).

    r_n ~ sum_i gamma_i (t_i - mean t) / |t_i - mean t|,  m words, signed coefficients

Each step takes the word whose centred direction has the largest |cosine| with what is left, and fits all that
were taken again. The public code scales every entry of the centred vectors to the same spread over the
vocabulary instead of every vector to unit length, so that common words are favoured; here none is.

All neurons go through a step at once: one product of what is left with all words, on as many neurons as fit,
where packages fit one direction after the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.base.artifacts import TableSpec, check_same, write_table
from reliance.lens.directions import read_directions
from reliance.naming.names import Vocabulary, read_vocabulary

WORDS = TableSpec(
    "lens_words",
    1,
    (
        ("component", "int32"),  # neuron
        ("rank", "int32"),  # order in which words were taken: the first m are those of m words
        ("prompt", "int32"),  # place of the word in the vocabulary without its empty prompt
        ("word", "string"),
        ("coefficient", "float32"),  # of all words together
    ),
)
SPOKEN = 5  # words that speak for a direction: of many fitted together, large coefficients cancel each other
_SCORES = 1 << 25  # scores held at a time


class Pursuit(NamedTuple):
    """What was taken for q directions."""

    atoms: np.ndarray  # int64 [q, m], in the order of taking; -1: nothing was left to fit
    coefficients: np.ndarray  # float32 [q, m], of all of them together


def dictionary(vectors: np.ndarray) -> np.ndarray:
    """Centred texts as unit rows float32 [w, p]; a text at the mean is a row of zeros."""
    centred = vectors - vectors.mean(0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    found: np.ndarray = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-6)
    return found


@torch.inference_mode()
def pursue(directions: np.ndarray, atoms: np.ndarray, m: int) -> Pursuit:
    """Orthogonal matching pursuit of directions [q, p] in unit atoms [w, p], at most min(m, w, p) each."""
    d = torch.from_numpy(np.ascontiguousarray(atoms, np.float32))
    m, step = min(m, *d.shape), max(1, _SCORES // len(d))
    taken = np.full((len(directions), m), -1, np.int64)
    coefficients = np.zeros((len(directions), m), np.float32)
    for start in range(0, len(directions), step):
        rows = slice(start, start + step)
        target = torch.from_numpy(np.ascontiguousarray(directions[rows], np.float32))
        taken[rows], coefficients[rows] = _pursued(target, d, m)
    return Pursuit(taken, coefficients)


def _pursued(target: torch.Tensor, atoms: torch.Tensor, m: int) -> tuple[np.ndarray, np.ndarray]:
    """(atoms [q, m], coefficients [q, m]) of some directions."""
    q, p = target.shape
    left = target.clone()
    floor = 1e-6 * target.norm(dim=1).clamp(min=1e-12)
    basis = target.new_zeros(q, m, p)  # orthonormal, of the atoms taken
    taken = torch.full((q, m), -1, dtype=torch.int64)
    for place in range(m):
        scores = (left @ atoms.T).abs_()
        if place:
            scores.scatter_(1, taken[:, :place].clamp(min=0), -1.0)
        best = scores.argmax(1)
        new = atoms[best]
        for _ in range(2):  # twice: once leaves rounding errors of nearly dependent atoms
            new = new - ((basis[:, :place] @ new[:, :, None]).transpose(1, 2) @ basis[:, :place])[:, 0]
        length = new.norm(dim=1)
        good = (left.norm(dim=1) > floor) & (length > 1e-5)
        new = torch.where(good[:, None], new / length.clamp(min=1e-12)[:, None], 0.0)
        basis[:, place] = new
        taken[:, place] = torch.where(good, best, -1)
        left = left - (left * new).sum(1, keepdim=True) * new
    return taken.numpy(), fitted(target, atoms, taken.numpy())[1]


def fitted(target: torch.Tensor, atoms: torch.Tensor, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(what is reached [q, p], coefficients [q, m]): least squares of directions in their atoms [q, m]."""
    there = torch.from_numpy(taken >= 0)
    chosen = (atoms[torch.from_numpy(taken).clamp(min=0)] * there[..., None]).double()
    gram = chosen @ chosen.transpose(1, 2) + torch.diag_embed((~there).double())
    gram = gram + 1e-10 * torch.eye(gram.shape[1], dtype=gram.dtype)
    right = chosen @ target.double()[:, :, None]
    found = torch.linalg.solve(gram, right) * there[..., None]
    reached = (found.transpose(1, 2) @ chosen)[:, 0]
    return reached.float().numpy(), found[..., 0].float().numpy()


def reconstructed(directions: np.ndarray, atoms: np.ndarray, taken: np.ndarray, m: int) -> np.ndarray:
    """Directions [q, p] as their first m words give them, fitted again."""
    found = []
    d, step = torch.from_numpy(np.ascontiguousarray(atoms, np.float32)), 256
    for start in range(0, len(directions), step):
        target = torch.from_numpy(np.ascontiguousarray(directions[start : start + step], np.float32))
        found.append(fitted(target, d, taken[start : start + step, :m])[0])
    return np.concatenate(found)


def spread(coefficients: np.ndarray, taken: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """How far the words of a direction point apart [q], 0 for one word, towards 1 for unlike ones.

    sum_ij w_i w_j (1 - s_i s_j cos(t_i, t_j)), w the sizes of the coefficients over their sum, s their signs.
    """
    size = np.abs(coefficients)
    total = size.sum(1, keepdims=True)
    w = np.divide(coefficients, total, out=np.zeros_like(coefficients), where=total > 0)
    mean = np.einsum("qm,qmp->qp", w, atoms[np.maximum(taken, 0)])
    found: np.ndarray = np.where(total[:, 0] > 0, 1 - (mean * mean).sum(1), 0)
    return found


def lens_words(*, directions: Path, vocabulary: Path, words: Path, counts: list[int]) -> None:
    """Stage: the words of every neuron's direction, as WORDS.

    directions : of a block. vocabulary : the encoder's own text vectors of names. counts : of words; the
    largest is pursued. Raises RelianceError for a vocabulary of another encoder.
    """
    found, stamp = read_directions(directions)
    vocabulary_, own = read_vocabulary(vocabulary)
    check_same("weights", (vocabulary, own.inputs["weights"]), (directions, stamp.inputs["weights"]))
    pursuit = pursue(found.direction, dictionary(vocabulary_.vectors), max(counts))
    inputs = {"directions": stamp.id, "vocabulary": own.id}
    write_table(words, table_of(pursuit, vocabulary_), WORDS, {"words": max(counts)}, inputs)


def table_of(pursuit: Pursuit, vocabulary: Vocabulary) -> pd.DataFrame:
    """A pursuit as WORDS."""
    component, rank = np.nonzero(pursuit.atoms >= 0)
    prompt = pursuit.atoms[component, rank]
    return pd.DataFrame(
        {
            "component": component,
            "rank": rank,
            "prompt": prompt,
            "word": vocabulary.names[prompt],
            "coefficient": pursuit.coefficients[component, rank],
        }
    )


def first_words(directions: np.ndarray, atoms: np.ndarray, taken: np.ndarray, m: int) -> Pursuit:
    """The first m words of directions [q, p] alone, with coefficients fitted to these."""
    d = torch.from_numpy(np.ascontiguousarray(atoms, np.float32))
    target = torch.from_numpy(np.ascontiguousarray(directions, np.float32))
    return Pursuit(taken[:, :m], fitted(target, d, taken[:, :m])[1])


def spoken_words(directions: np.ndarray, atoms: np.ndarray, words: pd.DataFrame) -> Pursuit:
    """The SPOKEN first words of directions [q, p] by a table of WORDS, with coefficients of these alone."""
    return first_words(directions, atoms, pursuit_of(words, len(directions)).atoms, SPOKEN)


def pursuit_of(words: pd.DataFrame, neurons: int) -> Pursuit:
    """The pursuit that a table of WORDS holds, of so many neurons."""
    m = int(words["rank"].max()) + 1 if len(words) else 1
    taken, values = np.full((neurons, m), -1, np.int64), np.zeros((neurons, m), np.float32)
    taken[words["component"], words["rank"]] = words["prompt"]
    values[words["component"], words["rank"]] = words["coefficient"]
    return Pursuit(taken, values)


def joined(pursuits: Sequence[Pursuit]) -> Pursuit:
    """Pursuits of several blocks as one, below each other; those with fewer words have -1 behind them."""
    m = max(p.atoms.shape[1] for p in pursuits)
    wide = [((0, 0), (0, m - p.atoms.shape[1])) for p in pursuits]
    both = list(zip(pursuits, wide, strict=True))
    return Pursuit(
        np.concatenate([np.pad(p.atoms, more, constant_values=-1) for p, more in both]),
        np.concatenate([np.pad(p.coefficients, more) for p, more in both]),
    )
