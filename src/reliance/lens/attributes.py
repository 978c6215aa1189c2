"""Attributes of an image: the words of the neurons that are significant on it (V5).

    w(word, I) = sum over neurons n significant on I of a_n(I) gamma_n(word)
    a_n(I)     = (phi_n(I) - phibar_n) . r_n

over all blocks that are looked at; gamma_n are the signed coefficients of r_n in words. A neuron that is
against its direction on an image speaks against its words. Significant is at the share of training images
that is nearest to the paper's, 100 of 5,124 (B1.6).
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
from reliance.lens.words import WORDS

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
_ROWS = 64


class Spoken(NamedTuple):
    """The neurons of a block with their words."""

    block: int
    found: Directions
    u: np.ndarray  # float32 [N, K, p]
    gram: np.ndarray | None  # [N, K, K]; None: of `shared` means, whose effects have one more summand
    threshold: np.ndarray  # float32 [N]
    gamma: csr_array  # [N, W], coefficients of words
    words: np.ndarray  # str [W]


def spoken(clip: Clip, directions: Path, words: Path) -> Spoken:
    """The neurons of a block. Raises RelianceError for directions of other weights, or words of others."""
    found, stamp = read_directions(directions)
    check_same("weights", (directions, stamp.inputs["weights"]), ("the encoder", clip.stamp.id))
    said = read_table(words, WORDS)
    check_same("directions", (words, said.stamp.inputs["directions"]), (directions, stamp.id))
    u = neuron_paths(clip, int(stamp.params["block"]), stamp.params["ln_mean"]).cpu().numpy()
    listed, column = np.unique(said.frame["word"].to_numpy(object), return_inverse=True)
    entries = said.frame["coefficient"], (said.frame["component"], column)
    return Spoken(
        int(stamp.params["block"]),
        found,
        u,
        grams(u) if found.common is None else None,
        found.thresholds[:, nearest_to_paper(found.shares)],
        csr_array(entries, shape=(len(u), len(listed))),
        listed,
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
    """What the neurons of a block add to w [n, W]."""
    found: np.ndarray = np.asarray(csr_array(np.where(significant, a, 0)) @ own.gamma.todense())
    return found


def lens_attributes(
    *,
    directions: Sequence[Path],
    words: Sequence[Path],
    coefficients: Sequence[Path],
    weights: Path,
    attributes: Path,
    shown: int = SHOWN,
) -> None:
    """Stage: the words that weigh most on each recorded image, as ATTRIBUTES.

    directions, words, coefficients : one each per block. Raises RelianceError for files that do not belong
    together.
    """
    clip = load_model(weights)
    totals: dict[str, np.ndarray] = {}
    count, ids, inputs = np.zeros(0), np.zeros(0, np.int64), {"weights": clip.stamp.id}
    for place, paths in enumerate(zip(directions, words, coefficients, strict=True)):
        own, stored = spoken(clip, *paths[:2]), Coefficients(paths[2])
        check_same("weights", (paths[2], stored.stamp.inputs["weights"]), (weights, clip.stamp.id))
        images, added, many = _of_block(own, stored)
        if place and not np.array_equal(images, ids):
            raise RelianceError(
                paths[2],
                "coefficients of all blocks are of the same images",
                found=f"{len(images):,} images",
                allowed=f"the {len(ids):,} of {coefficients[0]}",
                next_step="let the pipeline make them again: an image could be read for one block only",
            )
        for word, column in zip(own.words, added.T, strict=True):
            totals[word] = totals.get(word, 0) + column
        count, ids = (count + many if place else many), images
        inputs |= {f"coefficients_{place}": stored.stamp.id, f"words_{place}": read_stamp(paths[1]).id}
    names = sorted(totals)
    weight = np.stack([totals[name] for name in names], 1) if names else np.zeros((len(ids), 0), np.float32)
    frame = ranked(ids, weight, np.array(names, object), count, shown)
    write_table(attributes, frame, ATTRIBUTES, {"shown": shown}, inputs)


def _of_block(own: Spoken, stored: Coefficients) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(image_id [n], w [n, W], significant neurons [n]) of all recorded images."""
    parts = []
    for arrays in stored.blocks(_ROWS):
        a, significant = along(own, arrays)
        parts.append((arrays["image_id"], weighed(own, a, significant), significant.sum(1)))
    ids, weight, many = (np.concatenate(values) for values in zip(*parts, strict=True))
    return ids, weight, many


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
