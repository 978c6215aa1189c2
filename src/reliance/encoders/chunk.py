"""Rows of images between the model and the store."""

from collections.abc import Sequence

import numpy as np

from reliance.base.errors import RelianceError
from reliance.encoders.model import Clip
from reliance.encoders.sites.site import Site, image_embeddings


class Chunk:
    """Rows on their way into the store."""

    def __init__(self, site: Site, clip: Clip, dtype: str) -> None:
        self.site, self.head, self.dtype = site, site.head(clip) if site.head else None, dtype
        self._count = site.sampled.count(clip) if site.sampled else 0
        self._encoder = clip.weights.encoder
        self._arrays: list[dict[str, np.ndarray]] = []  # of every batch
        self._reasons: list[str] = []

    @property
    def rows(self) -> int:
        """Images taken."""
        return len(self._reasons)

    def add(self, found: Sequence[np.ndarray], reasons: list[str], rows: Sequence[int]) -> None:
        """Take a batch, the images `rows` of the split; those of unreadable images become zeros."""
        x, *z = found
        arrays = self.site.sampled.take(x, rows, self._count) if self.site.sampled else {self.site.array: x}
        if z:
            arrays["embedding"] = z[0]
        valid = np.array([not reason for reason in reasons])
        kept = {n: np.where(valid.reshape(-1, *[1] * (v.ndim - 1)), v, 0) for n, v in arrays.items()}
        dtypes = {"embedding": "float32", "places": "uint16", self.site.array: self.dtype}
        with np.errstate(over="ignore"):
            stored = {name: values.astype(dtypes.get(name, self.dtype)) for name, values in kept.items()}
        if not all(np.isfinite(values).all() for values in stored.values()):
            largest = max(np.abs(values).max() for values in kept.values())
            raise RelianceError(
                "embedding.dtype, embedding.precision",
                "embeddings are finite numbers that the store can hold",
                found=f"{largest:g} as {self.dtype}, from encoders.{self._encoder}",
                allowed="values below 65504 for float16",
                next_step="write `dtype: float32`; if that fails too, `precision: fp32`, "
                "or the weights are damaged",
            )
        self._arrays.append(stored)
        self._reasons += reasons

    def take(self, rows: Sequence[int]) -> tuple[dict[str, np.ndarray], list[tuple[int, str]]]:
        """Arrays and (image_id, reason) of the images `rows`; then empty."""
        valid = np.array([not reason for reason in self._reasons])
        arrays = {name: np.concatenate([batch[name] for batch in self._arrays]) for name in self._arrays[0]}
        arrays["valid"] = valid
        if "embedding" not in arrays and self.head:
            arrays["embedding"] = image_embeddings(arrays["x"], self.head, valid)
        excluded = [(row, reason) for row, reason in zip(rows, self._reasons, strict=True) if reason]
        self._arrays, self._reasons = [], []
        return arrays, excluded
