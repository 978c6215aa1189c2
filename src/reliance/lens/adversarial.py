"""Stage `lens_adversarial_words`: words that draw a model from one class to another, by its neurons (V3).

For a class that is shown and the class that the model should take it for, delta = t_target - t_shown. Of
the neurons of all blocks the `strongest` by |r_n . delta| count, and a word w of their sparse forms weighs

    sum_n (r_n . delta) gamma_nw

gamma_nw its coefficient in r_n, of the few first words of r_n alone (`words.SPOKEN`): positive where an
image with the word moves z towards the target, whichever sign a neuron takes there. Words that say one of the
two classes are left out. An image of the class that is shown, with the words in it, is the trial; whoever has
an image generator takes the captions, which say in which folder the images of each are looked for
(`lens.generated`), beside captions with other words.
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
from reliance.lens.captions import captioned, captions_of, write_captions
from reliance.lens.directions import read_directions
from reliance.lens.words import WORDS, Pursuit, dictionary, joined, spoken_words
from reliance.naming.names import read_vocabulary

STRONGEST, KEPT = 100, 50  # neurons; words that are written of a pair
SAME = 1e-4  # between prompts that are one text: batches of texts round differently
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


def lens_adversarial_words(
    *,
    directions: Sequence[Path],
    words: Sequence[Path],
    vocabulary: Path,
    text: Path,
    classes: Path,
    adversarial: Path,
    captions: Path,
) -> None:
    """Write the words of each class and its nearest other class, as ADVERSARIAL, and captions with them.

    directions, words : of the blocks, in one order. vocabulary, text : the encoder's own vectors.
    captions : output, a CSV, see `lens.captions`. A class whose prompt all others share has no rows.
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
    both, atoms = zip(found, read, strict=True), dictionary(names.vectors)
    pursuit = joined([spoken_words(part[0].direction, atoms, table.frame) for part, table in both])
    r = np.concatenate([part[0].direction for part in found]).astype(np.float64)
    called = known.frame.set_index("class_id").loc[prompts.class_ids].to_dict("records")
    said = [says(names.names, row) for row in called]
    rows, listed = list[tuple[object, ...]](), list[dict[str, str]]()
    for shown, target in enumerate(nearest(prompts.vectors)):
        if target < 0:
            continue
        delta = prompts.vectors[target] - prompts.vectors[shown]
        weights = {
            "neurons": word_weights(r, pursuit, delta, len(names.names)),
            "similar": similar_weights(atoms, delta),
            "random": np.random.default_rng([0, shown]).random(len(names.names)),
        }
        best = {way: heaviest(own, said[shown] | said[target]) for way, own in weights.items()}
        short = [str(called[i]["short_name"]) for i in (shown, target)]
        pair = (int(prompts.class_ids[shown]), int(prompts.class_ids[target]), *short)
        caption = captioned(short[0], names.names[best["neurons"]])
        rows += [
            (*pair, rank, names.names[i], float(weights["neurons"][i]), "" if rank else caption)
            for rank, i in enumerate(best["neurons"])
        ]
        ways = {way: names.names[own].tolist() for way, own in best.items()}
        listed += captions_of(called[shown], called[target], ways)
    frame = pd.DataFrame(rows, columns=[name for name, _ in ADVERSARIAL.columns])
    ids = {f"words_{i}": table.stamp.id for i, table in enumerate(read)}
    ids |= {"vocabulary": vocabulary_stamp.id, "text": prompts.stamp.id, "classes": known.stamp.id}
    params = {"strongest": STRONGEST, "kept": KEPT}
    write_table(adversarial, frame, ADVERSARIAL, params, ids)
    write_captions(captions, listed, params, ids)


def heaviest(weights: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Places of the KEPT words with the largest weights [V] above 0, without those that are `out`."""
    left = np.where(out, -np.inf, weights)
    best = np.argsort(-left, kind="stable")[:KEPT]
    kept: np.ndarray = best[left[best] > 0]
    return kept


def word_weights(r: np.ndarray, pursuit: Pursuit, delta: np.ndarray, vocabulary: int) -> np.ndarray:
    """Weights float64 [V] of words for directions r [N, p] with their sparse coefficients, and delta [p]."""
    pull = r.astype(np.float64, copy=False) @ delta
    chosen = np.argsort(-np.abs(pull), kind="stable")[:STRONGEST]
    gamma = dense(Pursuit(pursuit.atoms[chosen], pursuit.coefficients[chosen]), vocabulary)
    found: np.ndarray = pull[chosen] @ gamma.astype(np.float64)
    return found


def dense(pursuit: Pursuit, vocabulary: int) -> np.ndarray:
    """The coefficients of a pursuit on all words, float32 [q, V]; of a few directions only, it is large."""
    gamma = np.zeros((len(pursuit.atoms), vocabulary), np.float32)
    direction, place = np.nonzero(pursuit.atoms >= 0)
    gamma[direction, pursuit.atoms[direction, place]] = pursuit.coefficients[direction, place]
    return gamma


def similar_weights(atoms: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """The baseline without a look inside: how far words lie along delta themselves, [V].

    atoms : of `words.dictionary`, [V, p].
    """
    found: np.ndarray = atoms.astype(np.float64, copy=False) @ delta
    return found


def nearest(vectors: np.ndarray) -> list[int]:
    """Row of the other class with the most similar prompt, of each of [C, p]; -1 if there is none.

    Of two classes with the same prompt a model prefers neither: it is the nearest prompt that differs.
    """
    found = []
    for own in vectors:
        cosines = np.where(np.linalg.norm(vectors - own, axis=1) > SAME, vectors @ own, -np.inf)
        best = int(cosines.argmax())
        found.append(best if np.isfinite(cosines[best]) else -1)
    return found


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
