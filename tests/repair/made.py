"""A made split in which one concept is spread over six latents: an image of it shows only one of them.

Some images of other classes show the concept, which the prompt of the first class likes. Each of the six
fires on too few of them to be flagged by itself; all six together do. Six latents of another kind, as
common, are liked by no prompt.
"""

from pathlib import Path

import numpy as np

from attribution.toy import CLASS_IDS, D, ToySplit
from reliance.encoders.head import project

SPLIT, OTHER = np.arange(20, 26), np.arange(12, 18)
PER_LATENT = 8  # images of other classes that each of the six fires on: below min_samples of 10


class SplitConcept(ToySplit):
    """ToySplit with the concept in latents SPLIT; typical: the first class's own images show it, too."""

    def __init__(self, folder: Path, seed: int = 0, *, typical: bool = False) -> None:
        super().__init__(folder, seed, per_class=60)
        g = np.random.default_rng(seed + 100)
        base = np.linalg.qr(g.normal(size=(D, D)))[0]
        self.decoder[SPLIT] = base[0] + 0.25 * g.normal(size=(6, D)) / np.sqrt(D)
        self.decoder[OTHER] = base[1] + 0.25 * g.normal(size=(6, D)) / np.sqrt(D)
        for c in range(len(CLASS_IDS)):
            self.decoder[3 * c : 3 * c + 3] = base[2 + 3 * c : 5 + 3 * c]
        self.decoder /= np.linalg.norm(self.decoder, axis=1, keepdims=True)
        a = np.zeros((self.rows, len(self.decoder)))
        for c in range(len(CLASS_IDS)):
            own = np.flatnonzero(self.labels == c)
            a[own[:, None], 3 * c + np.arange(3)] = g.uniform(1.2, 2, (len(own), 3))
        foreign = g.permutation(np.flatnonzero((self.labels > 0) & self.valid))
        for k, j in enumerate(SPLIT):
            a[foreign[k * PER_LATENT : (k + 1) * PER_LATENT], j] = g.uniform(3.6, 4, PER_LATENT)
        if typical:
            own = np.flatnonzero((self.labels == 0) & self.valid)
            a[own, np.resize(SPLIT, len(own))] = 1
        common = g.permutation(self.rows)[: 6 * PER_LATENT]
        a[common, np.resize(OTHER, len(common))] = 1
        self.shows = np.sort(foreign[: 6 * PER_LATENT])
        self.indices = np.argsort(-a, axis=1, kind="stable")[:, : self.indices.shape[1]]
        self.values = np.take_along_axis(a, self.indices, 1).astype(np.float16)
        self.indices[self.values == 0] = 0
        self.x = (a @ self.decoder + 0.05 * g.normal(size=(self.rows, D))).astype(np.float32)
        self.x[~self.valid] = 0
        likes = np.zeros((len(CLASS_IDS), len(self.decoder)))
        for c in range(len(CLASS_IDS)):
            likes[c, 3 * c : 3 * c + 3] = 1
        likes[0, SPLIT] = 3
        text = project((likes @ self.decoder).astype(np.float32), self.head)
        self.text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)


def levels(m: int) -> np.ndarray:
    """The two families as they are, and each in halves below: int64 [2, m]."""
    found = np.full((2, m), -1, np.int64)
    for number, units in enumerate((SPLIT[:3], SPLIT[3:], OTHER[:3], OTHER[3:])):
        found[0, units] = number
    found[1, SPLIT], found[1, OTHER] = 4, 5
    return found
