"""The blocks behind an earlier site, run again for one image, where no closed form leads to the output.

The other tokens of the block are made from the image's pixels once; they, and the error of reconstruction,
stay as they are whatever is done to x.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from reliance.base.artifacts import Stamp
from reliance.config.sites import block_of, kind_of
from reliance.encoders.model import Clip
from reliance.images.decode import Reading
from reliance.images.tables import SplitRows
from reliance.tails.patches import AmongPatches, applied
from reliance.tails.point import Opened, Point
from reliance.tails.remaining import Remaining, Seen, pixels_of
from reliance.units.sae.files import Sae
from reliance.units.sae.pooled import on_patches


class Network:
    """The remaining blocks among the other tokens of one image, in float32, as the pipeline runs them."""

    def __init__(self, clip: Clip, site: str, pixels: Callable[[np.ndarray], torch.Tensor]) -> None:
        block = block_of(site)
        if block is None:
            raise ValueError(f"no block: {site}")
        kind = AmongPatches if kind_of(site) == "patches" else Remaining
        self._remaining = kind(clip, block, pixels, torch.float32)
        first, others = self._remaining.tokens(np.zeros(1, np.int64))
        self._seen, self.patches = Seen(first if kind is AmongPatches else others), others

    def embed(self, x: np.ndarray) -> np.ndarray:
        """z / |z| float32 [n, p] with the class token at x [n, d]."""
        wide, width = torch.as_tensor(x, dtype=torch.float32), self._remaining.head.proj.shape[1]
        none = torch.zeros(1, 0), torch.zeros(1, 0, dtype=torch.int64)
        opened = Opened(self._remaining, torch.zeros(0, wide.shape[1]), torch.zeros(0, width))
        point = Point(opened, wide, self._seen, *none)
        found: np.ndarray = point.outputs(wide, torch.zeros(len(wide), dtype=torch.int64)).numpy()
        return found

    def slopes(self, x: np.ndarray, text: np.ndarray) -> np.ndarray:
        """dy/dx float64 [C, d] at x [d], of unit text vectors [C, p], by one pass back for each."""
        at = torch.as_tensor(x[None], dtype=torch.float32).requires_grad_(True)
        with torch.enable_grad():
            z = self._remaining.run(at, self._seen.take(torch.zeros(1, dtype=torch.int64)))[0]
            y = torch.as_tensor(text, dtype=torch.float32) @ (z / z.norm())
            found = [torch.autograd.grad(one, at, retain_graph=True)[0][0] for one in y]
        return torch.stack(found).double().numpy()


def spread(network: Network, sae: Sae, components: np.ndarray) -> np.ndarray:
    """Activations float32 [k, P] of latents int64 [k] on the patches of an image."""
    known = applied(sae, "cpu", torch.float32)
    assert known is not None
    wanted = torch.as_tensor(components, dtype=torch.int64)[None]
    found: np.ndarray = on_patches(network.patches, known, wanted)[0].T.numpy()
    return found


def again(row: pd.Series, root: Path, stamp: Stamp, clip: Clip) -> Callable[[np.ndarray], torch.Tensor]:
    """Pixels of a stored image, read as it was embedded; as `pixels_of`, of one image.

    row : of the index, as `lookup.images_of` gives it. root : of the images. stamp : of its embeddings.
    """
    params = stamp.params
    decoding = str(params.get("jpeg_decoding", "exact"))
    exif, most = bool(params["apply_exif"]), int(params["max_pixels"])
    reading = Reading(str(root), exif, most, params.get("transform"), decoding)
    path, size, place = (np.array([row[name]], object) for name in ("path", "bytes", "place"))
    listed = SplitRows(path, np.array([-1]), size.astype(np.int64), stamp, place)
    return pixels_of(listed, reading, clip, 1)


def of(pixels: np.ndarray) -> Callable[[np.ndarray], torch.Tensor]:
    """Pixels uint8 [h, w, 3] of an image that was handed over, for `Network`."""
    batch = torch.from_numpy(pixels[None].copy()).permute(0, 3, 1, 2)
    return lambda _: batch
