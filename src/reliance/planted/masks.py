"""Which pixels show what: the thing, the written word and the background of labelled pictures."""

from collections.abc import Mapping

import numpy as np

from reliance.planted import render, scenes
from reliance.planted.drawn import Objects


def masks(objects: Objects, seed: int, per_class: int, *, test: bool) -> Mapping[str, np.ndarray]:
    """The pixels of everything drawn on the labelled pictures of a split, by column of TRUTH.

    "object" (with its white rim), "word" and "background" (as far as it is seen; of a band, the band alone),
    bool [n, 48, 48] each, in the order of the truth table. A pixel belongs to one of them at most.
    """
    rows = scenes.labelled(objects.world, seed, per_class, test=test)
    looks = render._draw_looks(  # its name is part of the fingerprint of every drawn data set
        np.random.default_rng([seed, render.STREAM, scenes.TEST if test else scenes.TRAIN]), rows
    )
    shape = (len(rows.subject), render.PIXELS, render.PIXELS)
    thing, word = np.zeros(shape, bool), np.zeros(shape, bool)
    for i in np.flatnonzero(rows.drawn).tolist():
        where = (rows.subject[i], looks.size[i], looks.angle[i], looks.rows[i], looks.columns[i])
        thing[i] = objects.bank.keep[where] < 0.5
    word[rows.word >= 0, -render.STRIP :] = True
    thing &= ~word
    height = np.where(rows.band, looks.band_rows, render.PIXELS)
    place = np.arange(render.PIXELS)[:, None] >= render.PIXELS - height[:, None, None]
    return {"object": thing, "word": word, "background": place & ~thing & ~word}


def mass_inside(weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Share [n] of the sum of non-negative weights [n, h, w] that lies inside of masks [n, h, w].

    NaN where all weights are 0.
    """
    total = weights.sum((1, 2))
    inside = (weights * mask).sum((1, 2))
    share: np.ndarray = np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)
    return share
