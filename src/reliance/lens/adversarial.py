"""Stage `lens_adversarial`: words that draw a model from one class to another, by what neurons write (V3).

For a class that is shown and the class that the model should take it for, delta = t_target - t_shown. Of
the neurons of all blocks the `strongest` by |r_n . delta| count, and a word w of their sparse forms weighs

    sum_n (r_n . delta) gamma_nw

gamma_nw its coefficient in r_n: positive where an image with the word moves z towards the target, whichever
sign a neuron takes there. Words that say one of the two classes are left out. An image of the class that is
shown, with the words in it, is the trial; whoever has an image generator takes the captions.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.images.tables import CLASSES
from reliance.lens.directions import Directions, read_directions
from reliance.lens.words import WORDS, Pursuit, dictionary, pursuit_of
from reliance.naming.names import read_vocabulary

STRONGEST, KEPT, IN_CAPTION = 100, 50, 3  # neurons; words that are written, of a pair and of a caption
NAME = 6  # words of a name; what has more is a sentence
BARE = {"a", "an", "and", "at", "by", "for", "in", "is", "of", "on", "or", "the", "to", "with", "used"}
ADVERSARIAL = TableSpec(
    "lens_adversarial",
    1,
    (
        ("shown_id", "int32"),  # class on the image
        ("target_id", "int32"),  # class that the model should prefer: the nearest by its prompt
        ("shown", "string"),
        ("target", "string"),
        ("rank", "int32"),  # 0 weighs most
        ("word", "string"),
        ("weight", "float64"),
        ("caption", "string"),  # of rank 0: what to have drawn; "" elsewhere
    ),
)


def lens_adversarial(
    *,
    directions: Sequence[Path],
    words: Sequence[Path],
    vocabulary: Path,
    text: Path,
    classes: Path,
    adversarial: Path,
) -> None:
    """Write the words of each class and its nearest other class, as ADVERSARIAL.

    directions, words : of the blocks, in one order. vocabulary, text : the encoder's own vectors.
    Raises RelianceError for files of other weights or directions.
    """
    found = [read_directions(path) for path in directions]
    read = [read_table(path, WORDS) for path in words]
    names, vocabulary_stamp = read_vocabulary(vocabulary)
    prompts, known = read_prompts(text), read_table(classes, CLASSES)
    for path, (_, stamp), own, table in zip(directions, found, words, read, strict=True):
        check_same("weights", (text, prompts.stamp.inputs["weights"]), (path, stamp.inputs["weights"]))
        check_same("directions", (own, table.stamp.inputs["directions"]), (path, stamp.id))
        check_same("vocabulary", (own, table.stamp.inputs["vocabulary"]), (vocabulary, vocabulary_stamp.id))
    both = zip(found, read, strict=True)
    gamma = np.concatenate([coefficients(part[0], t.frame, len(names.names)) for part, t in both])
    r = np.concatenate([part[0].direction for part in found])
    called = known.frame.set_index("class_id").loc[prompts.class_ids]
    said = [says(names.names, row) for row in called.to_dict("records")]
    short, rows = called["short_name"].tolist(), list[tuple[object, ...]]()
    for shown, target in enumerate(nearest(prompts.vectors)):
        weights = word_weights(r, gamma, prompts.vectors[target] - prompts.vectors[shown])
        weights[said[shown] | said[target]] = -np.inf
        best = [int(i) for i in np.argsort(-weights, kind="stable")[:KEPT] if weights[i] > 0]
        caption = captioned(short[shown], [names.names[i] for i in best])
        pair = (int(prompts.class_ids[shown]), int(prompts.class_ids[target]), short[shown], short[target])
        rows += [
            (*pair, rank, names.names[i], float(weights[i]), "" if rank else caption)
            for rank, i in enumerate(best)
        ]
    frame = pd.DataFrame(rows, columns=[name for name, _ in ADVERSARIAL.columns])
    ids = {f"words_{i}": table.stamp.id for i, table in enumerate(read)}
    ids |= {"vocabulary": vocabulary_stamp.id, "text": prompts.stamp.id, "classes": known.stamp.id}
    write_table(adversarial, frame, ADVERSARIAL, {"strongest": STRONGEST, "kept": KEPT}, ids)


def coefficients(found: Directions, words: pd.DataFrame, vocabulary: int) -> np.ndarray:
    """gamma float32 [N, V] of a block's neurons."""
    return dense(pursuit_of(words, len(found.direction)), vocabulary)


def dense(pursuit: Pursuit, vocabulary: int) -> np.ndarray:
    """The coefficients of a pursuit on all words, float32 [N, V]."""
    gamma = np.zeros((len(pursuit.atoms), vocabulary), np.float32)
    neuron, place = np.nonzero(pursuit.atoms >= 0)
    gamma[neuron, pursuit.atoms[neuron, place]] = pursuit.coefficients[neuron, place]
    return gamma


def word_weights(r: np.ndarray, gamma: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Weights float64 [V] of words for directions r [N, p] with coefficients gamma [N, V], and delta [p]."""
    pull = r.astype(np.float64) @ delta
    chosen = np.argsort(-np.abs(pull), kind="stable")[:STRONGEST]
    found: np.ndarray = pull[chosen] @ gamma[chosen].astype(np.float64)
    return found


def similar_weights(vectors: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """The baseline without a look inside: how far the words [V, p] themselves lie along delta, [V]."""
    found: np.ndarray = dictionary(vectors).astype(np.float64) @ delta
    return found


def nearest(vectors: np.ndarray) -> list[int]:
    """Row of the other class with the most similar prompt, of each of [C, p]."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return [int(i) for i in cosines.argmax(axis=1)]


def says(names: Iterable[str], called: Mapping[Any, Any]) -> np.ndarray:
    """Which names of a vocabulary say a class, by a whole word of one of its own names; bool [V].

    called : short_name, full_name, and a definition, which counts as a name if it is as short as one.
    """
    own = [str(called.get(key) or "") for key in ("short_name", "full_name", "definition")]
    spelt = set().union(*(stems(name) for name in own if len(name.split()) <= NAME))
    return np.array([bool(spelt & stems(name)) for name in names])


def stems(name: str) -> set[str]:
    """Words of a name that mean something, in small letters and without a plural's s."""
    words = re.findall(r"\w+", name.lower())
    return {word.removesuffix("s") if len(word) > 3 else word for word in words} - BARE


def captioned(shown: str, words: Sequence[str]) -> str:
    """What an image generator is asked for."""
    chosen = list(words[:IN_CAPTION])
    if not chosen:
        return ""
    listed = " and ".join([", ".join(chosen[:-1]), chosen[-1]] if len(chosen) > 1 else chosen)
    return f"a photo of a {shown}, with {listed}"
