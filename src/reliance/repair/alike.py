"""Images that look like those of a case, to the labeller, where its units alone do not explain them.

A unit is not among the active ones of every image of its kind, and where others raise y as well its removal
does not take the image to the line. An image above the line looks like a case if its embedding, less the
mean of all images, is nearer (cosine) to the mean of the case's images than

    all but 1 % of the images of other classes that are not above the line, and than
    a tenth of the case's own images are to the mean of the others.

The first bounds what chance does; the second keeps out what is near because nothing else is.
"""

from collections.abc import Sequence

import numpy as np

from reliance.encoders.stored import Embeddings
from reliance.failures.neighbours import unit_rows

RARE, OWN = 0.01, 0.1  # shares of other images, and of the case's own ones
_ROWS = 16384


class Looks:
    """What images show to the labeller. embeddings : its own. ids : image_ids [n]."""

    def __init__(self, embeddings: Embeddings, ids: np.ndarray) -> None:
        starts = range(0, len(ids), _ROWS)
        blocks = [unit_rows(embeddings, ids[i : i + _ROWS]).astype(np.float32) for i in starts]
        whole = np.concatenate(blocks)
        self.centred: np.ndarray = unit(whole - whole.mean(axis=0))

    def like(self, cases: Sequence[np.ndarray], above: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether images at `above` look like one of some cases, bool [q].

        cases : places of the images of each. above : places of the images of other classes above the line
        int64 [q]. others : places of those below it.
        """
        found = np.zeros(len(above), bool)
        for own in cases:
            found |= looks_like(self.centred, own, above, others)
        return found


def looks_like(centred: np.ndarray, own: np.ndarray, above: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The same of one case, in unit rows [n, p]; no image does if the case has fewer than two."""
    if len(own) < 2 or not len(others):
        return np.zeros(len(above), bool)
    total = centred[own].sum(axis=0)
    among = (unit(total - centred[own]) * centred[own]).sum(axis=1)
    mean = unit(total[None])[0]
    least = max(np.quantile(centred[others] @ mean, 1 - RARE), np.quantile(among, OWN))
    found: np.ndarray = centred[above] @ mean >= least
    return found


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [n, p] at length 1; rows of zeros stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = rows / np.maximum(length, 1e-12)
    return found
