"""Which images the curves are measured on, and which are the reference; all that is random about them."""

import logging
from typing import NamedTuple

import numpy as np

from reliance.attribution.inputs import Inputs, blocks
from reliance.base.errors import RelianceError
from reliance.base.telling import tell
from reliance.faithfulness.orderings import start_of_random_order
from reliance.faithfulness.schema import CLASS_ORDERS, IMAGE_ORDERS

log = logging.getLogger(__name__)


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
    by_class: np.ndarray  # per class, of the latents that fire on its images, int64 [C, R, S]; -1 beyond


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


def fitting(chosen: Chosen, sampling: Sampling) -> Sampling:
    """As many subsets as asked for, or as there are images, so that every subset gets one.

    Raises RelianceError without any image.
    """
    images = len(chosen.rows)
    if not images:
        raise RelianceError(
            "faithfulness",
            "curves are measured on readable images with a class",
            found="none",
            allowed="one or more in the split",
            next_step="add images to test on, or raise the share `split: {test: ...}` of the data set",
        )
    if images >= sampling.subsets:
        return sampling
    tell(log, "%d images are divided into %d subsets, not %d", images, images, sampling.subsets)
    return sampling._replace(subsets=images)


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


def random_orders(images: Images, label: np.ndarray, m: int, steps: int, seed: int) -> Randoms:
    """The random orders of images, and of their classes; label as in `Chosen`, m latents.

    A class's orders are of the latents that fire on one of its images: an order of all m would delete
    silent ones, and chance would look worse than it is.
    """
    n, k = images.values.shape
    active = np.random.default_rng([seed, 1]).random((n, IMAGE_ORDERS, k))
    rng = np.random.default_rng([seed, 2])
    every = start_of_random_order(rng, n * IMAGE_ORDERS, m, steps).reshape(n, IMAGE_ORDERS, steps)
    by_class = np.full((int(label.max(initial=-1)) + 1, CLASS_ORDERS, steps), -1)
    for c, orders in enumerate(by_class):
        own = label == c
        firing = np.append(np.unique(images.indices[own][images.values[own] != 0]), -1)
        rng = np.random.default_rng([seed, 3, c])
        orders[:] = firing[start_of_random_order(rng, CLASS_ORDERS, len(firing) - 1, steps)]
    return Randoms(active, every, by_class)
