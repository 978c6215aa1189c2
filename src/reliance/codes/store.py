"""Reading the codes of a split, and gathering its parts into a manifest (stage `gather_codes`).

Whatever yields entries can be given statistics, top images and names: the codes of an SAE here, another
basis elsewhere (`units.protocol.Activations`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from reliance.base.errors import RelianceError, make_again
from reliance.base.rows import PartRange, Parts, write_manifest
from reliance.units.protocol import Entries


class Codes:
    """The codes of a split, read in ranges of rows."""

    def __init__(self, manifest: str | Path) -> None:
        self._parts = Parts(manifest, "codes")
        self.path, self.rows, self.stamp = self._parts.path, self._parts.rows, self._parts.stamp
        self.readable = self.rows - len(self._parts.excluded)
        self.k: int = self._parts.layouts["values"].shape[0]

    @property
    def m(self) -> int:
        """Number of latents of the SAE."""
        return int(self.stamp.params["m"])

    def block(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Values float32 [n, k] and indices int64 [n, k] of rows [start, stop); value 0 is inactive."""
        values = self._parts.read("values", start, stop).astype(np.float32)
        return values, self._indices(start, stop).astype(np.int64)

    def blocks(self, block_rows: int) -> Iterator[PartRange]:
        """Ranges of at most `block_rows` rows that cover the split."""
        return self._parts.blocks(block_rows)

    def entries(self, start: int, stop: int) -> Entries:
        """The non-zero activations of rows [start, stop), values float16 as stored."""
        values = self._parts.read("values", start, stop)
        active = values != 0
        indices = self._indices(start, stop)[active]
        image_id = start + np.repeat(np.arange(len(values)), active.sum(1))
        return Entries(image_id, indices.astype(np.int64), values[active])

    @property
    def located(self) -> bool:
        """Whether it is known on which patch of an image a latent is strongest."""
        return "places" in self._parts.layouts

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the patches of an image."""
        rows, columns = self.stamp.params["grid"]
        return int(rows), int(columns)

    def places_of(self, images: np.ndarray, components: np.ndarray) -> np.ndarray:
        """The patch on which a component is strongest, int64 [q] of q pairs; -1 where it is not active."""
        values, indices = codes_at(self, images)
        hit = (indices == components[:, None]) & (values != 0)
        places = self._parts.take("places", images).astype(np.int64)
        found: np.ndarray = np.where(hit.any(1), places[np.arange(len(images)), hit.argmax(1)], -1)
        return found

    def _indices(self, start: int, stop: int) -> np.ndarray:
        """As stored. Raises RelianceError for one that is no latent: products with rows would not notice."""
        indices = self._parts.read("indices", start, stop)
        if indices.size and not (indices.min() >= 0 and indices.max() < self.m):
            raise RelianceError(
                self.path,
                "codes hold numbers of latents",
                found=f"{indices.min()} to {indices.max()} in rows {start} to {stop - 1}",
                allowed=f"0 to {self.m - 1}",
                next_step=f"a part is damaged: {make_again(self.path, with_parts=True)}",
            )
        return indices


def codes_at(codes: Codes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values float32 [n, k] and indices int64 [n, k] of rows by index (any order)."""
    values, indices = (codes._parts.take(name, rows) for name in ("values", "indices"))
    return values.astype(np.float32), indices.astype(np.int64)


def open_codes(manifest: str | Path) -> Codes:
    """Open the codes of a split. Raises RelianceError if the manifest or a part is not what it says."""
    return Codes(manifest)


def gather_codes(*, parts: Sequence[Path], manifest: Path) -> None:
    """Write the manifest of a split's parts, given in order.

    Raises RelianceError if the parts do not follow each other or come from different inputs.
    """
    write_manifest(manifest, parts, "codes")
