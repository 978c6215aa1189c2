"""Stage `top_samples`: the images on which every component is strongest.

An entry becomes one 64-bit key: component, then activation descending, then image ascending. Positive
floats order as their bits do, so sorting keys sorts entries, and the first `count` keys of a component
are its top images. Memory holds the keys kept so far and one buffer, whatever the number of images.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.codes.store import Activations, Entries, open_codes
from reliance.identity import TableSpec, write_table

TOP_SAMPLES = TableSpec(
    "top_samples",
    1,
    (("component", "int32"), ("rank", "int32"), ("image_id", "int64"), ("activation", "float32")),
)
_BUFFER = 1 << 23  # keys sorted at a time
_POSITIVE_BITS = {2: 15, 4: 31}  # bits of a positive float, by its bytes
_NOTHING = np.zeros(0, np.uint64)


class Top(NamedTuple):
    """Top images, sorted by component and rank (0 is the strongest)."""

    component: np.ndarray  # int64 [r]
    rank: np.ndarray  # int64 [r]
    image_id: np.ndarray  # int64 [r]
    activation: np.ndarray  # float32 [r]


class Strongest:
    """Keeps the `count` strongest positive activations of each of m components.

    Parameters
    ----------
    m, rows : numbers of components and of images, which bound the entries.
    count : images kept per component.
    dtype : of the activations, float16 or float32.

    Raises ValueError if component, activation and image do not fit 64 bits.
    """

    def __init__(self, m: int, rows: int, count: int, dtype: np.dtype) -> None:
        self._count, self._dtype = count, np.dtype(dtype)
        self._value_bits = _POSITIVE_BITS[self._dtype.itemsize]
        self._image_bits = max(1, (rows - 1).bit_length())
        if (m - 1).bit_length() + self._value_bits + self._image_bits > 64:
            raise ValueError(f"{m} components x {rows} images of {self._dtype} do not fit 64-bit keys")
        self._highest = (1 << self._value_bits) - 1
        self._limit = np.full(m, np.iinfo(np.uint64).max)  # keys above a component's limit are too weak
        self._kept, self._new, self._waiting = _NOTHING, [_NOTHING], 0

    def add(self, entries: Entries) -> None:
        """Take the entries of further images."""
        positive = entries.value > 0
        bits = entries.value[positive].view(f"u{self._dtype.itemsize}").astype(np.uint64)
        component = entries.component[positive]
        keys = component.astype(np.uint64) << np.uint64(self._value_bits)
        keys = (keys | (np.uint64(self._highest) - bits)) << np.uint64(self._image_bits)
        keys |= entries.image_id[positive].astype(np.uint64)
        keys = keys[keys <= self._limit[component]]
        self._new.append(keys)
        self._waiting += len(keys)
        if self._waiting >= _BUFFER:
            self._merge()

    def result(self) -> Top:
        """The top images of all entries taken."""
        self._merge()
        keys, component, rank = self._kept, self._component(self._kept), self._rank(self._kept)
        image_id = (keys & np.uint64((1 << self._image_bits) - 1)).astype(np.int64)
        bits = np.uint64(self._highest) - ((keys >> np.uint64(self._image_bits)) & np.uint64(self._highest))
        value = bits.astype(f"u{self._dtype.itemsize}").view(self._dtype)
        return Top(component, rank, image_id, value.astype(np.float32))

    def _merge(self) -> None:
        keys = np.concatenate([self._kept, *self._new])
        keys.sort()
        rank = self._rank(keys)
        self._kept, rank = keys[rank < self._count], rank[rank < self._count]
        last = self._kept[rank == self._count - 1]
        self._limit[self._component(last)] = last
        self._new, self._waiting = [_NOTHING], 0

    def _component(self, keys: np.ndarray) -> np.ndarray:
        return (keys >> np.uint64(self._value_bits + self._image_bits)).astype(np.int64)

    def _rank(self, keys: np.ndarray) -> np.ndarray:
        """Place of each sorted key among those of its component."""
        component = self._component(keys)
        first = np.searchsorted(component, np.arange(len(self._limit)))
        place: np.ndarray = np.arange(len(keys)) - first[component]
        return place


def strongest(activations: Activations, count: int, block_rows: int) -> Top:
    """The `count` images with the largest positive activations of each component.

    Equal activations are ordered by image_id.
    """
    found: Strongest | None = None
    for start, stop in activations.blocks(block_rows):
        entries = activations.entries(start, stop)
        found = found or Strongest(activations.m, activations.rows, count, entries.value.dtype)
        found.add(entries)
    if found is None:
        raise ValueError("a split has at least one row")
    return found.result()


def top_samples(*, codes: Path, top_samples: Path, count: int = 100, block_rows: int = 16384) -> None:
    """Write the `count` strongest images of every component of a split, as TOP_SAMPLES.

    Components that never fire have no rows. Reads `block_rows` images at a time.
    """
    split = open_codes(codes)
    found = strongest(split, count, block_rows)
    inputs = {"codes": split.stamp.id}
    write_table(top_samples, pd.DataFrame(found._asdict()), TOP_SAMPLES, {"count": count}, inputs)
