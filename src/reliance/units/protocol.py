"""What x is taken apart into: the protocol that attribution, mining, deletion, names and drawings go by.

A unit has an activation on every image, and says what one unit of activation adds at the site. Images,
components and activations as one long list are called entries; as k values and k indices per image, a code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from reliance.base.artifacts import Stamp
from reliance.base.rows import PartRange
from reliance.encoders.stored import Embeddings


class Entries(NamedTuple):
    """Non-zero activations, by image in ascending order."""

    image_id: np.ndarray  # int64 [e]
    component: np.ndarray  # int64 [e]
    value: np.ndarray  # float16 or float32 [e]


class Activations(Protocol):
    """Activations of m components on the images of a split: what statistics, top images and names need."""

    path: Path  # of what they are read from, for messages
    rows: int
    readable: int  # rows whose image could be read; the others have no activations
    stamp: Stamp

    @property
    def m(self) -> int:
        """Number of components."""

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Ranges of at most `block_rows` rows that cover the split."""

    def entries(self, start: int, stop: int) -> Entries:
        """The non-zero activations of rows [start, stop)."""


class Units(Activations, Protocol):
    """Activations whose components each move the site vector along a direction of their own."""

    ids: dict[str, str]  # name -> id of what defines them, for the stamp of what is written
    offset: np.ndarray  # b: x is about aV + b, float32 [d]

    @property
    def directions(self) -> np.ndarray:
        """v: what one unit of activation adds at the site, float32 [m, d]."""

    def block(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes of rows [start, stop): values float32 [n, k], 0 is inactive, and indices int64 [n, k]."""


class Sources(NamedTuple):
    """What a kind of units may be opened from; it refuses what it lacks."""

    embeddings: Embeddings  # x [N, d] of the split
    codes: Path | None = None  # manifest of the split's codes
    sae: Path | None = None
    fitted: Path | None = None  # embeddings that a basis is fitted to; None: those of the split


def entries_of(values: np.ndarray, indices: np.ndarray, start: int) -> Entries:
    """Codes [n, k] of rows from `start` on as entries."""
    active = values != 0
    image_id = start + np.repeat(np.arange(len(values)), active.sum(1))
    return Entries(image_id, indices[active].astype(np.int64), values[active])
