"""Embeddings of a split as other jobs read them: x at a site, and the image embedding z beside it."""

from pathlib import Path

import numpy as np

from reliance.base.errors import RelianceError, make_again
from reliance.base.rows import Parts

KIND = "embeddings"


class Embeddings(Parts):
    """`x` [N, d] of a site, z [N, p] and `valid` [N], read through the manifest.

    At site `embedding` x is z and stored once; `read("x")` and `take("x")` find it all the same.
    Raises RelianceError as `Parts`.
    """

    def __init__(self, manifest: str | Path) -> None:
        super().__init__(manifest, KIND)
        if "x" not in self.layouts and "embedding" in self.layouts:
            self.layouts["x"] = self.layouts["embedding"]
            for arrays in self._arrays:
                arrays["x"] = arrays["embedding"]

    @property
    def site(self) -> str:
        """Where in the encoder x was read. Embeddings from before there were sites are class tokens."""
        return str(self.stamp.params.get("site", "class_token"))

    @property
    def sampled(self) -> int:
        """Tokens stored of each image where it has many, 0 where x is its one vector."""
        return self.layouts["samples"].shape[0] if "samples" in self.layouts else 0

    def learned_from(self, start: int, stop: int) -> np.ndarray:
        """What an SAE learns from of the readable images of rows [start, stop), [n, d]: x, or some tokens."""
        found = self.read("samples" if self.sampled else "x", start, stop)
        readable: np.ndarray = found[self.read("valid", start, stop)]
        return readable.reshape(-1, found.shape[-1])

    def learned_of(self, rows: np.ndarray) -> np.ndarray:
        """The same of the readable ones among rows by index."""
        found = self.take("samples" if self.sampled else "x", rows)
        readable: np.ndarray = found[self.take("valid", rows)]
        return readable.reshape(-1, found.shape[-1])

    @property
    def width(self) -> int:
        """p of z."""
        self._need_z()
        return self.layouts["embedding"].shape[0]

    def z(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Image embeddings float32 [n, p] of rows [start, stop), not normalised; zeros where unreadable."""
        self._need_z()
        return self.read("embedding", start, stop).astype(np.float32, copy=False)

    def z_of(self, rows: np.ndarray) -> np.ndarray:
        """The same of rows by index, in any order."""
        self._need_z()
        return self.take("embedding", rows).astype(np.float32, copy=False)

    def _need_z(self) -> None:
        if "embedding" not in self.layouts:
            raise RelianceError(
                self.path,
                "image embeddings are stored beside what is read inside the encoder",
                found=f"the arrays {', '.join(self.layouts)}",
                allowed="an array 'embedding'",
                next_step=f"an older version made them: {make_again(self.path, with_parts=True)}",
            )


def check_site(path: str | Path, site: str, embeddings: Embeddings) -> None:
    """Raise RelianceError unless an artifact at `path` is of the site that embeddings were read at."""
    if site != embeddings.site:
        raise RelianceError(
            path,
            f"it must be of the same site of the encoder as {embeddings.path}",
            found=f"site '{site}', but '{embeddings.site}' there",
            allowed="one and the same site: elsewhere numbers mean something else, even where widths agree",
            next_step=f"check which manifest the rule names, or {make_again(path)}",
        )
