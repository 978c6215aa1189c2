"""The rest of a vision transformer behind a block, and the tokens of that block, made again from images."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from reliance.base.errors import RelianceError
from reliance.base.openclip import open_clip
from reliance.encoders.model import Clip
from reliance.encoders.sites.block import place_of
from reliance.encoders.sites.class_token import behind, head_of
from reliance.encoders.vision import normaliser
from reliance.images.decode import Images, Reading
from reliance.images.tables import SplitRows

_BATCH = 64  # images that go through the first blocks at once


class Seen(NamedTuple):
    """The tokens beside the class token after block l, of n images."""

    tokens: torch.Tensor  # [n, T - 1, d]

    @property
    def size(self) -> int:
        """Elements of the tokens of an image."""
        return int(self.tokens[:1].numel())

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Those of images `rows` [b]: [b, T - 1, d]."""
        return self.tokens[rows]

    def shift(self, amounts: torch.Tensor, v: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """What amounts [b, s, k] of units with directions v [b, k, d] change in x [b, s, d]."""
        return amounts @ v

    def along(self, slope: torch.Tensor, v: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """What a slope [b, d] of x is along units [b, k]."""
        return (v @ slope[:, :, None])[..., 0]

    def field(self, v: torch.Tensor, rows: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """What one of a unit changes in x [b, d]; v [b, d], `place` int64 [b] in the code."""
        return v


class Remaining:
    """The blocks behind block l of a CLIP's image tower, LayerNorm and projection.

    pixels : uint8 [n, 3, h, w] of images by their rows, int64 [n].
    """

    def __init__(
        self, clip: Clip, block: int, pixels: Callable[[np.ndarray], torch.Tensor], dtype: torch.dtype
    ) -> None:
        self.place, self.dtype, self.device = place_of(clip, block), dtype, clip.device
        self.head = head_of(clip)
        self._tower: Any = clip.model.visual.to(dtype)
        self._norm, self._proj = behind(clip)
        self._blocks = list(self._tower.transformer.resblocks)[self.place + 1 :]
        self._pixels, self._normalise = pixels, normaliser(clip.weights.preprocess, clip.device)

    def see(self, images: np.ndarray) -> Seen:
        """The other tokens of images by their rows in the split, int64 [n]."""
        return Seen(self.tokens(images)[1])

    def tokens(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """The class tokens [n, 1, d] after the block, and the others [n, T - 1, d]."""
        found = []
        with torch.no_grad():
            for start in range(0, len(images), _BATCH):
                pixels = self._normalise(self._pixels(images[start : start + _BATCH])).to(self.dtype)
                out = self._tower.forward_intermediates(
                    pixels,
                    indices=[self.place],
                    stop_early=True,
                    intermediates_only=True,
                    output_fmt="NLC",
                    output_extra_tokens=True,
                )
                found.append((out["image_intermediates_prefix"][0], out["image_intermediates"][0]))
        first, others = (torch.cat(parts) for parts in zip(*found, strict=True))
        return first, others

    def run(self, x: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """z [b, p], not normalised, of class tokens x [b, d] among other tokens [b, T - 1, d]."""
        tokens = self._joined(x, others)
        *between, last = self._blocks
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # its kernel has no derivatives
        try:
            for block in between:
                tokens = block(tokens)
            z: torch.Tensor = self._norm(self._class_token(last, tokens)) @ self._proj
            return z
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)

    def _joined(self, x: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """All tokens [b, T, d], the class token first."""
        return torch.cat([x[:, None], others], 1)

    @staticmethod
    def _class_token(block: Any, tokens: torch.Tensor) -> torch.Tensor:
        """What a block makes of the class token [b, d]: its query alone, where the block is the usual one."""
        if type(block) is not open_clip.transformer.ResidualAttentionBlock:
            whole: torch.Tensor = block(tokens)
            return whole[:, 0]
        normed = block.ln_1(tokens)
        x = tokens[:, :1] + block.ls_1(block.attention(normed[:, :1], normed, normed))
        own: torch.Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
        return own[:, 0]


def pixels_of(
    listed: SplitRows, reading: Reading, clip: Clip, threads: int
) -> Callable[[np.ndarray], torch.Tensor]:
    """Pixels uint8 [n, 3, h, w] of images of a split by their rows, int64 [n], decoded in threads.

    Raises RelianceError for a file that is gone, or that can no longer be read.
    """
    columns = listed.sizes.tolist(), listed.places.tolist()
    images = Images(listed.paths.tolist(), reading, clip.weights.preprocess, *columns)

    def pixels(rows: np.ndarray) -> torch.Tensor:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            items = list(pool.map(images.__getitem__, rows.tolist()))
        for row, item in zip(rows, items, strict=True):
            if item.failure or item.reason:
                raise item.failure or _changed(images.paths[row], item.reason)
        return torch.from_numpy(np.stack([item.values for item in items])).permute(0, 3, 1, 2)

    return pixels


def _changed(path: str, reason: str) -> RelianceError:
    return RelianceError(
        path,
        "an image that was embedded can be read again: the tokens of a block are not stored",
        found=reason,
        allowed="the file as it was",
        next_step="restore it, or embed the images again",
    )
