"""Attributes of an image: the words of the neurons that are significant on it (V5).

    w(word, I) = sum over neurons n significant on I of a_n(I) gamma_n(word)
    a_n(I)     = (phi_n(I) - phibar_n) . r_n

over all blocks that are looked at; gamma_n are the signed coefficients of the few words that speak for r_n
(`words.SPOKEN`). A neuron that is against its direction on an image speaks against its words. Significant is
at the share of training images that is nearest to the paper's, 100 of 5,124 (B1.6).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.encoders.model import Clip, load_model
from reliance.lens.directions import Directions, read_directions
from reliance.lens.paths import neuron_paths
from reliance.lens.ranking import grams, norms
from reliance.lens.store import Coefficients
from reliance.lens.words import WORDS, dictionary, spoken_words
from reliance.naming.names import read_vocabulary

ATTRIBUTES = TableSpec(
    "lens_attributes",
    1,
    (
        ("image_id", "int64"),
        ("rank", "int32"),  # 0 weighs most
        ("word", "string"),  # "" on an image that no word weighs on
        ("weight", "float32"),  # above 0, or of ""
        ("significant", "int32"),  # neurons of all blocks that are significant on the image
    ),
)
PAPER = 100 / 5124  # of the training images, above the threshold
SHOWN = 10  # words of an image
_ROWS, _RANKED = 64, 1024


class Spoken(NamedTuple):
    """The neurons of a block with their words."""

    block: int
    found: Directions
    u: np.ndarray  # float32 [N, K, p]
    gram: np.ndarray | None  # [N, K, K]; None: of `shared` means, whose effects have one more summand
    threshold: np.ndarray  # float32 [N]
    gamma: csr_array  # [N, V], coefficients of the few words that speak for each


def spoken(clip: Clip, directions: Path, words: Path, vocabulary: Path, vectors: np.ndarray) -> Spoken:
    """The neurons of a block; `vectors` [V, p] are those of the vocabulary.

    Raises RelianceError for directions of other weights, or words of other directions or another vocabulary.
    """
    found, stamp = read_directions(directions)
    check_same("weights", (directions, stamp.inputs["weights"]), ("the encoder", clip.stamp.id))
    said = read_table(words, WORDS)
    check_same("directions", (words, said.stamp.inputs["directions"]), (directions, stamp.id))
    sides = (words, said.stamp.inputs["vocabulary"]), (vocabulary, read_stamp(vocabulary).id)
    check_same("vocabulary", *sides)
    u = neuron_paths(clip, int(stamp.params["block"]), stamp.params["ln_mean"]).cpu().numpy()
    few = spoken_words(found.direction, dictionary(vectors), said.frame)
    neuron, place = np.nonzero(few.atoms >= 0)
    entries = few.coefficients[neuron, place], (neuron, few.atoms[neuron, place])
    return Spoken(
        int(stamp.params["block"]),
        found,
        u,
        grams(u) if found.common is None else None,
        found.thresholds[:, nearest_to_paper(found.shares)],
        csr_array(entries, shape=(len(u), len(vectors))),
    )


def nearest_to_paper(shares: np.ndarray) -> int:
    """Which of some shares of images above a threshold is the paper's, or nearest to it."""
    return int(np.abs(shares - PAPER).argmin())


def along(own: Spoken, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(a float32 [n, N], significant bool [n, N]) of images by their coefficients (`store`)."""
    found = own.found
    dc = arrays["coefficients"] - found.mean
    reach = np.einsum("nkp,np->nk", own.u, found.direction)
    a = np.einsum("ink,nk->in", dc, reach)
    dq = None
    if found.common is not None:
        dq = (arrays["common"] - found.common) / len(own.u)
        a = a + dq @ found.direction.T
    return a.astype(np.float32), norms(dc, own.u, own.gram, dq) > own.threshold


def weighed(own: Spoken, a: np.ndarray, significant: np.ndarray) -> np.ndarray:
    """What the neurons of a block add to w [n, V]."""
    found: np.ndarray = (csr_array(np.where(significant, a, 0)) @ own.gamma).toarray()
    return found


def lens_attributes(
    *,
    directions: Sequence[Path],
    words: Sequence[Path],
    coefficients: Sequence[Path],
    vocabulary: Path,
    weights: Path,
    attributes: Path,
    shown: int = SHOWN,
) -> None:
    """Stage: the words that weigh most on each recorded image, as ATTRIBUTES.

    directions, words, coefficients : one each per block. vocabulary : the encoder's own text vectors.
    Raises RelianceError for files that do not belong together.
    """
    clip, (names, spelt) = load_model(weights), read_vocabulary(vocabulary)
    total, count, ids = np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64)
    inputs = {"weights": clip.stamp.id, "vocabulary": spelt.id}
    for place, paths in enumerate(zip(directions, words, coefficients, strict=True)):
        own = spoken(clip, *paths[:2], vocabulary, names.vectors)
        stored, made = Coefficients(paths[2]), read_stamp(paths[0])
        check_same("weights", (paths[2], stored.stamp.inputs["weights"]), (weights, clip.stamp.id))
        for name in ("block", "ln_mean"):
            sides = (str(stored.stamp.params[name]), str(made.params[name]))
            check_same(name, (paths[2], sides[0]), (paths[0], sides[1]))
        images = _readable(stored)
        if not place:
            total, count, ids = np.zeros((len(images), len(names.names)), np.float32), 0 * images, images
        elif not np.array_equal(images, ids):
            raise RelianceError(
                paths[2],
                "coefficients of all blocks are of the same images",
                found=f"{len(images):,} images",
                allowed=f"the {len(ids):,} of {coefficients[0]}",
                next_step="let the pipeline make them again: an image could be read for one block only",
            )
        start = 0
        for arrays in stored.blocks(_ROWS):
            a, significant = along(own, arrays)
            rows = slice(start, start + len(a))
            total[rows] += weighed(own, a, significant)
            count[rows] += significant.sum(1)
            start = rows.stop
        inputs |= {f"coefficients_{place}": stored.stamp.id, f"words_{place}": read_stamp(paths[1]).id}
    parts = [slice(i, i + _RANKED) for i in range(0, max(len(ids), 1), _RANKED)]
    tables = [ranked(ids[part], total[part], names.names, count[part], shown) for part in parts]
    write_table(attributes, pd.concat(tables, ignore_index=True), ATTRIBUTES, {"shown": shown}, inputs)


def _readable(stored: Coefficients) -> np.ndarray:
    """image_id int64 [n] of the recorded images that could be read."""
    found = [
        stored.parts.read("image_id", *span)[stored.parts.read("valid", *span)]
        for span in stored.parts.blocks(4096)
    ]
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def ranked(
    ids: np.ndarray, weight: np.ndarray, words: np.ndarray, significant: np.ndarray, shown: int
) -> pd.DataFrame:
    """The words of positive weight [n, W] that weigh most on each image, as ATTRIBUTES."""
    weight = np.concatenate([np.zeros((len(weight), 1), weight.dtype), weight], 1)
    words = np.concatenate([np.array([""], object), words])  # first among equals, where nothing is above it
    order = np.argsort(-weight, axis=1, kind="stable")[:, :shown]
    values = np.take_along_axis(weight, order, 1)
    image, rank = np.nonzero((values > 0) | ((order == 0) & (np.arange(order.shape[1]) == 0)))
    return pd.DataFrame(
        {
            "image_id": ids[image],
            "rank": rank,
            "word": words[order[image, rank]],
            "weight": values[image, rank],
            "significant": significant[image],
        }
    )
