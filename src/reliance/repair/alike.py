"""Images that look like those of a case, to the labeller, where its units alone do not explain them.

A unit is not among the active ones of every image of its kind, and where others raise y as well its removal
does not take the image to the line. An image above the line looks like a case if its embedding, less the
mean of all images, is nearer (cosine) to the mean of the case's images than

    all but a share RARE of the images of other classes below the line, over all cases of the class, and than
    a share OWN of the case's own images are to the mean of the others.

The first keeps it rare, the second keeps out what is near because nothing else is. It is likeness, not cause:
images just below the line, which are like those above it, look so more often than RARE, and are counted
beside them.
"""

from collections.abc import Sequence

import numpy as np

from reliance.encoders.stored import Embeddings
from reliance.failures.neighbours import unit_rows

RARE, OWN = 0.01, 0.1  # looked at on planted seed 0
_ROWS = 16384


class Looks:
    """What images show to the labeller. embeddings : its own. ids : image_ids [n]."""

    def __init__(self, embeddings: Embeddings, ids: np.ndarray) -> None:
        self.seen = embeddings.read("valid").astype(bool)[ids]
        places = np.flatnonzero(self.seen)
        self.centred = np.zeros((len(ids), embeddings.width), np.float32)
        for start in range(0, len(places), _ROWS):
            some = places[start : start + _ROWS]
            self.centred[some] = unit_rows(embeddings, ids[some])
        centre(self.centred, self.seen)

    def like(self, cases: Sequence[np.ndarray], below: np.ndarray) -> np.ndarray:
        """Whether each image looks like one of some cases, bool [n].

        cases : places of the images of each. below : places of the images of other classes below the line.
        """
        found = np.zeros(len(self.seen), bool)
        below = below[self.seen[below]]
        for images in cases:
            own = images[self.seen[images]]
            if len(own) >= 2 and len(below):
                found |= looks_like(self.centred, own, below, RARE / len(cases))
        found &= self.seen
        return found


def looks_like(centred: np.ndarray, own: np.ndarray, below: np.ndarray, rare: float) -> np.ndarray:
    """Whether each image looks like the case with images at `own`, two or more; rows [n, p], bool [n]."""
    total = centred[own].sum(axis=0)
    others = total - centred[own]
    length = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    among = (others * centred[own]).sum(axis=1) / length
    near = centred @ (total / max(float(np.linalg.norm(total)), 1e-12))
    found: np.ndarray = near > max(np.quantile(near[below], 1 - rare), np.quantile(among, OWN))
    return found


def centre(rows: np.ndarray, seen: np.ndarray) -> None:
    """Take the mean of the rows that are seen from these, and scale them to length 1; in place."""
    if not seen.any():
        return
    rows -= np.where(seen[:, None], rows[seen].mean(axis=0), 0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
