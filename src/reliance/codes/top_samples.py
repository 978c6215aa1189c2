"""Stage `top_samples`: the images on which every component is strongest.

An entry becomes one 64-bit key: component, then activation descending, then image ascending. Positive
floats order as their bits do, so sorting keys sorts entries, and the first `count` keys of a component
are its top images. Where that takes more than 64 bits (float32 activations of many images), the image is
kept beside its key. Memory holds the keys kept so far and one buffer, whatever the number of images.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reliance.base.artifacts import TableSpec, write_table
from reliance.base.telling import advance
from reliance.codes.store import Codes, open_codes
from reliance.units.protocol import Activations, Entries

TOP_SAMPLES = TableSpec(
    "top_samples",
    1,
    (("component", "int32"), ("rank", "int32"), ("image_id", "int64"), ("activation", "float32")),
)
BOX = ("left", "top", "right", "bottom")  # of a patch, as shares of the square that a model sees
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
    """

    def __init__(self, m: int, rows: int, count: int, dtype: np.dtype) -> None:
        self._count, self._dtype = count, np.dtype(dtype)
        self._value_bits = _POSITIVE_BITS[self._dtype.itemsize]
        image_bits = max(1, (rows - 1).bit_length())
        fits = (m - 1).bit_length() + self._value_bits + image_bits <= 64
        self._image_bits = image_bits if fits else 0  # 0: images are kept beside their keys
        self._highest = (1 << self._value_bits) - 1
        self._limit = np.full(m, np.iinfo(np.uint64).max)  # keys above a component's limit are too weak
        self._keys = self._images = _NOTHING
        self._new, self._waiting = [(_NOTHING, _NOTHING)], 0

    def add(self, entries: Entries) -> None:
        """Take the entries of further images, which come after all images before."""
        positive = entries.value > 0
        bits = entries.value[positive].view(f"u{self._dtype.itemsize}").astype(np.uint64)
        component, images = entries.component[positive], entries.image_id[positive].astype(np.uint64)
        keys = component.astype(np.uint64) << np.uint64(self._value_bits)
        keys |= np.uint64(self._highest) - bits
        if self._image_bits:
            keys = (keys << np.uint64(self._image_bits)) | images
        strong = keys <= self._limit[component]
        self._new.append((keys[strong], _NOTHING if self._image_bits else images[strong]))
        self._waiting += len(self._new[-1][0])
        if self._waiting >= _BUFFER:
            self._merge()

    def result(self) -> Top:
        """The top images of all entries taken."""
        self._merge()
        keys, component, rank = self._keys, self._component(self._keys), self._rank(self._keys)
        mask = np.uint64((1 << self._image_bits) - 1)
        image_id = (keys & mask if self._image_bits else self._images).astype(np.int64)
        bits = np.uint64(self._highest) - ((keys >> np.uint64(self._image_bits)) & np.uint64(self._highest))
        value = bits.astype(f"u{self._dtype.itemsize}").view(self._dtype)
        return Top(component, rank, image_id, value.astype(np.float32))

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._new)])
        images = np.concatenate([self._images, *(images for _, images in self._new)])
        if self._image_bits:
            keys.sort()
        else:  # stable: of equal keys the earlier image stays first
            order = np.argsort(keys, kind="stable")
            keys, images = keys[order], images[order]
        rank = self._rank(keys)
        strong = rank < self._count
        self._keys, rank = keys[strong], rank[strong]
        self._images = _NOTHING if self._image_bits else images[strong]
        last = self._keys[rank == self._count - 1]
        self._limit[self._component(last)] = last
        self._new, self._waiting = [(_NOTHING, _NOTHING)], 0

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
        advance(start, activations.rows, "images")
        entries = activations.entries(start, stop)
        found = found or Strongest(activations.m, activations.rows, count, entries.value.dtype)
        found.add(entries)
    if found is None:
        raise ValueError("a split has at least one row")
    return found.result()


def top_samples(*, codes: Path, top_samples: Path, count: int = 100, block_rows: int = 16384) -> None:
    """Write the `count` strongest images of every component of a split, as TOP_SAMPLES.

    Components that never fire have no rows. Of codes of patches it is said where in the image the patch lies
    on which a component is strongest (LOCATED). Reads `block_rows` images at a time.
    """
    import pandas as pd

    split = open_codes(codes)
    found = strongest(split, count, block_rows)
    frame, spec = pd.DataFrame(found._asdict()), TOP_SAMPLES
    if split.located:
        spec = TOP_SAMPLES._replace(columns=(*TOP_SAMPLES.columns, *((name, "float32") for name in BOX)))
        frame[list(BOX)] = boxes(split, found, block_rows)
    write_table(top_samples, frame, spec, {"count": count}, {"codes": split.stamp.id})


def boxes(split: Codes, top: Top, block_rows: int) -> np.ndarray:
    """BOX of the patches on which components are strongest in their top images, float32 [r, 4]."""
    rows, columns = split.grid
    steps = range(0, len(top.image_id), block_rows)
    parts = [(top.image_id[i : i + block_rows], top.component[i : i + block_rows]) for i in steps]
    places = np.concatenate([np.zeros(0, np.int64), *(split.places_of(*part) for part in parts)])
    y, x = np.divmod(places, columns)
    box = np.stack([x / columns, y / rows, (x + 1) / columns, (y + 1) / rows], 1)
    return box.astype(np.float32)
