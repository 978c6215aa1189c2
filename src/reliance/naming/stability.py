"""Stage `name_stability`: how sure the name of every component is.

A name is drawn again in two ways, `draws` times each:

    images  from a random half of the component's top images, with the whole vocabulary
    words   from all its top images, with a random half of the vocabulary in which the name itself is not

Two names are near if cos(t - t_empty, t' - t_empty) >= near: these differences are what s_j is made of
(Eq. 2). A half of the vocabulary says something only if a name near to the component's own is in it: without
one, no near name can come out.

    confidence = share of all draws that say something whose name is the component's own, or near to it
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.codes.store import open_codes
from reliance.codes.top_samples import TOP_SAMPLES, Top
from reliance.naming.names import Vocabulary, name_components, pool_top
from reliance.naming.table import COMPONENTS, open_labeller

NAME_STABILITY = TableSpec(
    "name_stability",
    1,
    (
        ("component", "int32"),  # every one, in order
        ("label", "string"),  # as in COMPONENTS; "" if it has none
        ("confidence", "float32"),  # nan without a name
        ("images", "float32"),  # the same over halves of the top images alone
        ("words", "float32"),  # the same over halves of the vocabulary alone; nan if none says something
        ("rival", "string"),  # the most frequent of the other names that are not near; "" if there is none
    ),
)
COIN_TOSS = 0.6  # a name that holds in less than this share of draws is little better than one of two
_SCORES = 1 << 25  # scores held at a time


class Drawn(NamedTuple):
    """Names of c components in D draws each, as places in the vocabulary."""

    images: np.ndarray  # int64 [D, c]
    words: np.ndarray  # int64 [D, c]; -1: no name near to its own is in this half


def name_stability(
    *,
    codes: Path,
    labels: Path,
    vocabulary: Path,
    top_samples: Path,
    components: Path,
    name_stability: Path,
    top_n: int = 20,
    draws: int = 10,
    near: float = 0.8,
    block_rows: int = 16384,
) -> None:
    """Write NAME_STABILITY of the components of a split.

    codes, labels, vocabulary, top_samples, top_n : those that `components` was made from.
    Raises RelianceError if the inputs do not belong together.
    """
    split = open_codes(codes)
    labeller = open_labeller(split, labels, vocabulary)
    frame, stamp = read_table(components, COMPONENTS, columns=["component", "label"])
    top, top_stamp = read_table(top_samples, TOP_SAMPLES)
    check_same("codes", (top_samples, top_stamp.inputs["codes"]), (split.path, split.stamp.id))
    for name, own in {"codes": split.stamp.id, **labeller.ids}.items():
        check_same(name, (components, stamp.inputs[name]), (split.path, own))
    label = frame["label"].to_numpy(object)
    place = {name: i for i, name in enumerate(labeller.vocabulary.names)}
    named = np.flatnonzero(label != "")
    given = np.array([place[name] for name in label[named]], np.int64)
    chosen = Top(*(top.loc[top["rank"] < top_n, name].to_numpy() for name in Top._fields))

    def pooled(part: Top) -> np.ndarray:
        found = pool_top(part, split.m, labeller.embeddings.z, split.rows, block_rows)
        return found.mean[named]

    halves = [pooled(half_of(chosen, np.random.default_rng([0, i]))) for i in range(draws)]
    words = labeller.vocabulary
    drawn = Drawn(
        np.stack([_places(mean, words) for mean in halves]),
        words_drawn(pooled(chosen), given, words, draws, near),
    )
    params = {"top_n": top_n, "draws": draws, "near": near}
    table = pd.DataFrame({"component": np.arange(split.m), "label": label})
    for name, (values, missing) in stability(drawn, given, words, near).items():
        full = np.full(split.m, missing, dtype=values.dtype)
        full[named] = values
        table[name] = full
    inputs = {"components": stamp.id, "codes": split.stamp.id, **labeller.ids}
    write_table(name_stability, table, NAME_STABILITY, params, inputs)


def said(label: str, confidence: float, rival: str) -> str:
    """How sure a name is, in words; "" for a name that holds, or of which nothing is known."""
    if not label or not confidence < COIN_TOSS:
        return ""
    return f"a coin toss: {confidence:.0%}" + (f", else {rival}" if rival else "")


def half_of(top: Top, generator: np.random.Generator) -> Top:
    """A random half of the images of every component, rounded up."""
    key = generator.random(len(top.component))
    order = np.lexsort((key, top.component))
    sizes = np.bincount(top.component)
    start = np.concatenate([[0], np.cumsum(sizes)])
    component = top.component[order]
    kept = np.sort(order[np.arange(len(order)) - start[component] < (sizes[component] + 1) // 2])
    return Top(*(column[kept] for column in top))


def words_drawn(
    mean: np.ndarray, given: np.ndarray, vocabulary: Vocabulary, draws: int, near: float
) -> np.ndarray:
    """The best name of each component in random halves of the vocabulary without its own, int64 [D, c].

    mean : of the labeller's embeddings [c, p]. given : places of their names in the vocabulary.
    """
    w = len(vocabulary.names)
    inside = np.stack([np.random.default_rng([1, i]).permutation(w) < w // 2 for i in range(draws)])
    alike = directions(vocabulary)
    found = np.full((draws, len(mean)), -1, np.int64)
    step = max(1, _SCORES // w)
    for start in range(0, len(mean), step):
        rows = slice(start, start + step)
        unit = mean[rows] / np.linalg.norm(mean[rows], axis=1, keepdims=True)
        scores = unit.astype(np.float32) @ vocabulary.vectors.T
        own = given[rows]
        here = np.arange(len(own))
        scores[here, own] = -np.inf
        close = alike[own] @ alike.T >= near
        close[here, own] = False
        for i in range(draws):
            best = np.where(inside[i], scores, -np.inf).argmax(1)
            found[i, rows] = np.where((close & inside[i]).any(1), best, -1)
    return found


def stability(
    drawn: Drawn, given: np.ndarray, vocabulary: Vocabulary, near: float
) -> dict[str, tuple[np.ndarray, float | str]]:
    """Columns of NAME_STABILITY for c components with names, each with what it is for others."""
    alike = directions(vocabulary)

    def holds(places: np.ndarray) -> np.ndarray:
        cosine = np.einsum("dcp,cp->dc", alike[places], alike[given])
        result: np.ndarray = (places == given) | (cosine >= near)
        return result

    by_image, by_word = holds(drawn.images), holds(drawn.words)
    counted = drawn.words >= 0
    said_words, same_words = counted.sum(0), (by_word & counted).sum(0)
    words = np.divide(same_words, said_words, out=np.full(len(given), np.nan), where=said_words > 0)
    confidence = (by_image.sum(0) + same_words) / (len(by_image) + said_words)
    others = [
        np.concatenate([drawn.images[~by_image[:, j], j], drawn.words[counted[:, j] & ~by_word[:, j], j]])
        for j in range(len(given))
    ]
    rival = np.array([vocabulary.names[_most(places)] if len(places) else "" for places in others], object)
    return {
        "confidence": (confidence, np.nan),
        "images": (by_image.mean(0), np.nan),
        "words": (words, np.nan),
        "rival": (rival, ""),
    }


def directions(vocabulary: Vocabulary) -> np.ndarray:
    """t - t_empty of every name at unit length, float32 [w, p]; zero where a name is the empty prompt's."""
    found = vocabulary.vectors - vocabulary.empty
    length = np.linalg.norm(found, axis=1, keepdims=True)
    result: np.ndarray = np.divide(found, length, out=np.zeros_like(found), where=length > 0)
    return result


def _places(mean: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    place = {name: i for i, name in enumerate(vocabulary.names)}
    return np.array([place[name] for name in name_components(mean, vocabulary).label], np.int64)


def _most(places: np.ndarray) -> int:
    """The most frequent; of equals the first of the vocabulary."""
    return int(np.bincount(places).argmax())
