"""Which images the curves are measured on, and which are the reference; all that is random about them."""

from typing import NamedTuple

import numpy as np

from reliance.attribution.inputs import Inputs, blocks
from reliance.base.errors import RelianceError
from reliance.faithfulness.orderings import start_of_random_order
from reliance.faithfulness.schema import CLASS_ORDERS, IMAGE_ORDERS


class Chosen(NamedTuple):
    """Rows of a split."""

    classes: np.ndarray  # rows of class_ids, int64 [C], ascending
    rows: np.ndarray  # images, class by class, int64 [n]
    label: np.ndarray  # of each image, index into `classes`, int64 [n]
    reference: np.ndarray  # random images, int64 [r], ascending


class Images(NamedTuple):
    """Class tokens and codes of n images."""

    x: np.ndarray  # float32 [n, d]
    values: np.ndarray  # float32 [n, k], 0 is inactive
    indices: np.ndarray  # int64 [n, k]
    rows: np.ndarray  # of the split, int64 [n]

    def take(self, rows: slice | np.ndarray) -> "Images":
        """Some of them."""
        return Images(*(array[rows] for array in self))


class Randoms(NamedTuple):
    """The random orders: seeded, and the same for any block size and both error terms.

    Several (R) per image and per class: the curve of a random order is the mean over them.
    """

    active: np.ndarray  # scores of the positions of each image's code, float64 [n, R, k]
    all_latents: np.ndarray  # first S of orders of all m latents per image, int64 [n, R, S]
    by_class: np.ndarray  # and per class, int64 [C, R, S]


class Sampling(NamedTuple):
    """Which images curves are measured on."""

    classes: int = 100  # the first so many that have images
    per_class: int = 50  # the first so many readable images of each
    reference: int = 500  # random images
    subsets: int = 9  # image i, class by class, belongs to subset i mod `subsets`
    seed: int = 0  # of the reference and of random orders


SAMPLING = Sampling()


def choose(inputs: Inputs, sampling: Sampling, block_rows: int) -> Chosen:
    """The first `per_class` readable images of the first `classes` classes that have any.

    The reference is drawn with `seed` from all readable images with a class. Both are as large as asked
    for, or as large as the split allows.
    """
    ranges = inputs.embeddings.blocks(block_rows)
    valid = np.concatenate([inputs.embeddings.read("valid", *range_) for range_ in ranges])
    usable = np.flatnonzero(valid & (inputs.labels >= 0))
    labels = inputs.labels[usable]
    chosen = np.unique(labels)[: sampling.classes]
    rows = [usable[labels == c][: sampling.per_class] for c in chosen]
    label = np.repeat(np.arange(len(chosen)), [len(r) for r in rows])
    rng = np.random.default_rng([sampling.seed, 0])
    drawn = rng.choice(usable, min(sampling.reference, len(usable)), replace=False)
    return Chosen(chosen, np.concatenate([usable[:0], *rows]), label, np.sort(drawn))


def check_subsets(chosen: Chosen, subsets: int) -> None:
    """Raise RelianceError unless every subset gets an image."""
    if len(chosen.rows) < subsets:
        raise RelianceError(
            "faithfulness.subsets",
            "every subset needs at least one of the images that the curves are measured on",
            found=f"{subsets} subsets, but {len(chosen.rows)} images in {len(chosen.classes)} classes",
            allowed=f"1 to {len(chosen.rows)}",
            next_step="lower faithfulness.subsets, or raise faithfulness.classes or faithfulness.per_class",
        )


def read_images(inputs: Inputs, wanted: np.ndarray, block_rows: int) -> Images:
    """The images of rows `wanted` int64 [n], in that order; a block without one is not read."""
    kept = np.full(len(inputs.labels), -1)
    kept[wanted] = inputs.labels[wanted]
    found = list(blocks(inputs._replace(labels=kept), 1, block_rows))
    place = np.searchsorted(np.concatenate([b.image_id for b in found]), wanted)
    x, values, indices = (
        np.concatenate([getattr(b, name) for b in found])[place] for name in ("x", "values", "indices")
    )
    return Images(x, values, indices, wanted)


def random_orders(n: int, k: int, m: int, classes: int, steps: int, seed: int) -> Randoms:
    """The random orders of n images and `classes` classes."""

    def orders(stream: int, count: int, each: int) -> np.ndarray:
        rng = np.random.default_rng([seed, stream])
        return start_of_random_order(rng, count * each, m, steps).reshape(count, each, steps)

    active = np.random.default_rng([seed, 1]).random((n, IMAGE_ORDERS, k))
    return Randoms(active, orders(2, n, IMAGE_ORDERS), orders(3, classes, CLASS_ORDERS))
