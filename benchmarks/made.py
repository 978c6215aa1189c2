"""Made embeddings, codes and prompts of any size; needs only numpy and safetensors.

Classes come in families of ten that look alike, so that an image scores for about six classes beside its
own, as confusable classes do. Latents are drawn evenly: the worst case for caches, real ones have favourites.
In a `Kindred` world they stand for split concepts, of which an image shows one latent or several together.
"""

from typing import NamedTuple

import numpy as np

import clock  # noqa: F401 - finds src
from reliance.encoders.head import Head, project

FAMILY, SPREAD, NOISE = 10, 0.2, 1.2  # classes of a family; what tells them apart; what tells images apart
CELL, FAVOURITES, LARGEST = 4, 4, 50  # latents of a concept; what a class often shows; latents of a family


class LabelledImages(NamedTuple):
    """Labelled images, as `reliance.attribution.inputs.LabelledImages` has them."""

    image_id: np.ndarray  # int64 [n]
    label: np.ndarray  # int64 [n]
    x: np.ndarray  # float32 [n, d]
    values: np.ndarray  # float32 [n, k]
    indices: np.ndarray  # int64 [n, k]


class World:
    """A labelled split of any length, made block by block; classes follow one another."""

    def __init__(self, images: int, classes: int, d: int, p: int, m: int, k: int) -> None:
        g = np.random.default_rng(0)
        self.images, self.classes, self.k = images, classes, k
        self.label = np.arange(images) * classes // images
        self.decoder = g.standard_normal((m, d), dtype=np.float32)
        self.decoder /= np.linalg.norm(self.decoder, axis=1, keepdims=True)
        self.bias = 0.2 * g.standard_normal(d, dtype=np.float32)
        scale, offset, proj = (g.standard_normal(s, dtype=np.float32) for s in (d, d, (d, p)))
        self.head = Head(1 + 0.2 * scale, 0.05 * offset, proj / np.float32(np.sqrt(d)), 1e-5)
        families = g.standard_normal((-(-classes // FAMILY), d), dtype=np.float32)
        self.centres = self.bias + np.repeat(families, FAMILY, 0)[:classes]
        self.centres += SPREAD * g.standard_normal((classes, d), dtype=np.float32)
        text = project(self.centres, self.head)
        self.text = text / np.linalg.norm(text, axis=1, keepdims=True)

    def x(self, start: int, stop: int) -> np.ndarray:
        """Class tokens of images [start, stop), float16 [n, d]; the same numbers for the same range."""
        noise = np.random.default_rng((1, start)).standard_normal((stop - start, len(self.bias)), np.float32)
        return (self.centres[self.label[start:stop]] + np.float32(NOISE) * noise).astype(np.float16)

    def code(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes of images [start, stop): values float16 [n, k], descending, and k different indices each."""
        g = np.random.default_rng((2, start))
        strata = np.linspace(0, len(self.decoder), self.k + 1).astype(np.int64)
        indices = g.integers(strata[:-1], strata[1:], (stop - start, self.k))
        values = -np.sort(-g.exponential(2, indices.shape), axis=1) + 0.01
        return values.astype(np.float16), g.permuted(indices, axis=1)

    def block(self, start: int, stop: int) -> LabelledImages:
        """Images [start, stop) as the stages see them."""
        values, indices = self.code(start, stop)
        x, ids = self.x(start, stop).astype(np.float32), np.arange(start, stop)
        return LabelledImages(ids, self.label[start:stop], x, values.astype(np.float32), indices)


class Kindred(World):
    """A world of split concepts, with `levels`: families of its latents, int64 [3, m], -1 without one.

    Half of all latents are in families of 2 to 50, small ones more often; before these are joined, stand
    their parts of at most 16 latents, and before those the concepts. A family stands in one level only.
    """

    def __init__(self, images: int, classes: int, d: int, p: int, m: int, k: int) -> None:
        super().__init__(images, classes, d, p, m, k)
        g = np.random.default_rng(3)
        self.latents = g.permutation(m)  # so that a family's decoder rows do not lie side by side
        place = np.arange(m // 2)
        ends = np.cumsum(np.exp(g.uniform(np.log(2), np.log(LARGEST + 1), m)).astype(np.int64))
        whole = np.searchsorted(ends, place, side="right")
        self.levels, count, before = np.full((3, m), -1), 0, np.ones(m // 2)
        for level, size in enumerate((CELL, 4 * CELL, m)):
            _, part, sizes = np.unique(whole * m + place // size, return_inverse=True, return_counts=True)
            new = np.flatnonzero(sizes[part] > before)
            number = np.unique(part[new], return_inverse=True)[1]
            self.levels[level, self.latents[new]] = count + number
            count, before = count + int(number.max(initial=-1)) + 1, sizes[part]

    def code(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes of images [start, stop) as those of a world, of concepts of which each shows 3 latents or 1.

        Concepts come in twos, side by side. A quarter of them are favourites of the image's class: without
        latents that are common on it, no class is mined. k is a multiple of 8.
        """
        g, shape = np.random.default_rng((4, start)), (stop - start, self.k // 2)
        strata = np.linspace(0, len(self.decoder) // (2 * CELL), self.k // 4 + 1).astype(np.int64)
        two = g.integers(strata[:-1], strata[1:], (stop - start, self.k // 4))
        usual = slice(0, max(1, self.k // 16))
        first, last = strata[:-1][usual], strata[1:][usual]
        own = 97 * self.label[start:stop, None] + g.integers(FAVOURITES, size=two[:, usual].shape)
        two[:, usual] = first + own % (last - first)
        two = g.permuted(two, axis=1)
        concept = (2 * two[..., None] + np.arange(2)).reshape(shape)
        one = np.arange(CELL) == g.integers(CELL, size=(*shape, 1))
        several = np.arange(shape[1]) < self.k // 4
        latents = (CELL * concept[..., None] + np.arange(CELL))[np.where(several[:, None], ~one, one)]
        return super().code(start, stop)[0], g.permuted(self.latents[latents.reshape(shape[0], -1)], axis=1)
