"""`NetworkTail` with the patches of a block moved: the blocks behind them, and the head, run again.

x is all patches of an image in one row, [n, P d]; the class token of the block stays as it is. A unit with
activations a_p on the patches and a pooled one a (their maximum or mean) moves every patch along its
direction in the same proportion: one of it changes patch p by (a_p / a) v. So act x grad is
sum_p a_p v . dy/dx_p, and leaving a unit out takes it from every patch (Eqs. 1, 5). Patches and activations
are made again from the images, never stored. Units without an SAE (neurons, principal axes) are coordinates
of the mean patch, and move all patches alike.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from reliance.base.artifacts import Stamp
from reliance.base.entry import imported
from reliance.encoders.model import Clip, load_model
from reliance.encoders.sites.block import place_of
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.tails.network import NetworkActive, NetworkTail
from reliance.tails.point import Opened, Point
from reliance.tails.protocol import Array
from reliance.tails.remaining import Remaining, Seen, pixels_of
from reliance.units.sae.activations import ENCODERS
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import Sae, load_sae
from reliance.units.sae.pooled import on_patches
from reliance.units.sae.sparse import on_device


class SeenPatches(NamedTuple):
    """The class tokens of n images after the block, and how a unit is spread over the patches."""

    first: torch.Tensor  # [n, 1, d]
    spread: torch.Tensor  # a_p / a [n, P, k]

    @property
    def size(self) -> int:
        """Elements of the tokens of an image."""
        return int(self.first[:1].numel()) * (1 + self.spread.shape[1])

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Class tokens of images `rows` [b]: [b, 1, d]."""
        return self.first[rows]

    def shift(self, amounts: torch.Tensor, v: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """As `Seen.shift`, in x [b, s, P d]."""
        each = amounts[:, :, None] * self.spread[rows][:, None]
        return (each.flatten(1, 2) @ v).view(*amounts.shape[:2], -1)

    def along(self, slope: torch.Tensor, v: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """As `Seen.along`."""
        by_patch = slope.view(len(slope), -1, v.shape[2]) @ v.transpose(1, 2)
        return (by_patch * self.spread[rows]).sum(1)

    def field(self, v: torch.Tensor, rows: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """As `Seen.field`, [b, P d]."""
        return (self.spread[rows, :, place][:, :, None] * v[:, None]).flatten(1)


class AmongPatches(Remaining):
    """The blocks behind block l, with the patches as what moves."""

    def see(self, images: np.ndarray) -> Seen:
        """What does not move: the class tokens [n, 1, d]."""
        return Seen(self.tokens(images)[0])

    def _joined(self, x: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return torch.cat([others, x.view(len(x), -1, others.shape[2])], 1)


class PatchTail(NetworkTail):
    """As `NetworkTail`; `sae` says how strongly its latents fire on every patch, None: all patches alike."""

    def __init__(
        self,
        remaining: AmongPatches,
        directions: Array,
        text: Array,
        path_steps: int = 10,
        sae: Applied | None = None,
    ) -> None:
        super().__init__(remaining, remaining.head, directions, text, path_steps)
        self.sae = sae

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> "PatchActive":
        """The active units of n images, to be deleted and inserted."""
        return PatchActive(self, self.point(None, values, indices, images))

    def point(self, x: Array | None, values: Array, indices: Array, images: np.ndarray | None) -> Point:
        """n images where they are, whatever x; their patches are made again."""
        if images is None:
            raise ValueError("the network runs again on `images`")
        a = torch.as_tensor(values).to(self.norms)
        at = torch.as_tensor(indices, device=a.device).long()
        first, patches = self.remaining.tokens(images)
        spread = a.new_ones(len(a), patches.shape[1], a.shape[1])
        if self.sae:
            spread = on_patches(patches, self.sae, at) / torch.where(a == 0, torch.inf, a)[:, None]
        opened = Opened(self.remaining, self.directions, self.text)
        seen: Seen = SeenPatches(first, spread)  # type: ignore[assignment]  # it offers the same
        return Point(opened, patches.flatten(1), seen, a, at)


class PatchActive(NetworkActive):
    """The active units of n images, spread over their patches."""

    def __init__(self, tail: PatchTail, point: Point) -> None:
        super().__init__(tail, point)
        every = torch.arange(len(self.values), device=self.values.device)
        self.sum = point.seen.shift(self.values[:, None], tail.directions[self.indices], every)[:, 0]
        spread: torch.Tensor = point.seen.spread  # type: ignore[attr-defined]
        self.energy = self.energy * spread.square().sum(1).sqrt()

    def at(self, x: torch.Tensor) -> torch.Tensor:
        """All patches of the images [n, P d]."""
        return self.point.x


class Patches:
    """The rest of a model behind the patches of a block, for the images of one split; opens tails."""

    def __init__(
        self, clip: Clip, block: int, pixels: Callable[[np.ndarray], torch.Tensor], sae: Sae | None
    ) -> None:
        place_of(clip, block)
        self._clip, self._block, self._pixels, self._sae = clip, block, pixels, sae
        self.site = f"block{block}-patches"
        self.stamp: Stamp = clip.stamp

    def tail(
        self, directions: np.ndarray, text: np.ndarray, device: str, dtype: torch.dtype, path_steps: int
    ) -> PatchTail:
        """The tail for units and text vectors, in float32 or float64."""
        clip = self._clip._replace(model=self._clip.model.to(device), device=torch.device(device))
        remaining = AmongPatches(clip, self._block, self._pixels, dtype)
        return PatchTail(remaining, directions, text, path_steps, applied(self._sae, device, dtype))


def applied(sae: Sae | None, device: str, dtype: torch.dtype) -> Applied | None:
    """An SAE, to be applied in a dtype."""
    if sae is None:
        return None
    parameters = on_device(sae.arrays, device)
    wide = type(parameters)(*(tensor.to(dtype) for tensor in parameters))
    return Applied(imported(ENCODERS[sae.activation]), wide, sae.k, sae.input_norm)


def open_patches(
    *,
    weights: Path,
    index: Path,
    split: str,
    block: int,
    reading: Reading,
    sae: Path | None = None,
    threads: int = 1,
) -> Patches:
    """Entry point in the table of sites. Raises RelianceError for a block that the model does not have."""
    clip = load_model(weights)
    pixels = pixels_of(read_split(index, split), reading, clip, threads)
    return Patches(clip, block, pixels, None if sae is None else load_sae(sae)[0])
