"""`NetworkTail`: the blocks behind a class token, and the head, as a tail that runs them.

x [n, d] is the class token after block l, as it was stored. The other tokens of that block are made again
from the images, some images at a time, and never stored; they stay as they are whatever is done to x, and so
does the error of reconstruction. Of the last block only the class token is computed: nothing else reaches y.

Act x grad. With z(x) the image embedding, y = z.t / |z|, R_j = a_j v_j . dy/dx:

    backward    one pass through the remaining blocks and back for each (image, prompt)
    forward     J v_j for each active unit of an image, J = dz/dx, by forward-mode differentiation; these
                serve all prompts: R_jc = a_j (J v_j) . (t_c - y_c z/|z|) / |z|

One costs about as much as the other, so the fewer are taken: backward where the pairs asked for are no more
than the units of their images, forward where they are. Leaving one out, curves and walks run the blocks
again for every change (Eqs. 1, 5). A unit by itself (Eq. 3) has no other tokens to stand among: there its
direction goes through the head alone, as if it were the last block's.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from reliance.encoders.head import Head
from reliance.encoders.model import Clip, load_model
from reliance.encoders.sites.block import place_of
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.tails.baselines import logit_lens
from reliance.tails.integrated import reconstruct
from reliance.tails.point import Opened, Point
from reliance.tails.protocol import ABLATION, ACT_X_GRAD, INTEGRATED, Array
from reliance.tails.relevance import latent_tables, prompt_tables
from reliance.tails.remaining import Remaining, pixels_of


class NetworkTail:
    """The remaining blocks with units of directions [m, d] and text vectors [C, p].

    Parameters
    ----------
    remaining : of the network, in `dtype` on `device`. head : LayerNorm and projection behind them.
    path_steps : points on the path of Integrated Gradients.
    """

    forms = (ACT_X_GRAD, ABLATION, INTEGRATED)

    def __init__(
        self, remaining: Remaining, head: Head, directions: Array, text: Array, path_steps: int = 10
    ) -> None:
        self.remaining, self.path_steps = remaining, path_steps
        self.tables = latent_tables(directions, head, str(remaining.device), remaining.dtype)
        self.directions = self.tables.decoder
        self.texts = prompt_tables(self.tables, text)
        self.text = self.texts.text
        self.norms = self.directions.norm(dim=1)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.text.device

    @property
    def prompts(self) -> int:
        """C."""
        return len(self.text)

    @property
    def units(self) -> int:
        """m."""
        return len(self.directions)

    def alone(self) -> torch.Tensor:
        """Logit Lens [C, m] (Eq. 3), the directions taken as those of the last block."""
        return logit_lens(self.tables, self.texts)

    def score(
        self, x: Array, values: Array, indices: Array, images: np.ndarray | None = None
    ) -> "NetworkScores":
        """Outputs and relevances of n images."""
        return NetworkScores(self, self.point(x, values, indices, images))

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> "NetworkActive":
        """The active units of n images, to be deleted and inserted."""
        return NetworkActive(self, self.point(None, values, indices, images))

    def point(self, x: Array | None, values: Array, indices: Array, images: np.ndarray | None) -> "Point":
        """n images where they are; x None: without a place."""
        if images is None:
            raise ValueError("the network runs again on `images`")
        a = torch.as_tensor(values).to(self.norms)
        at = a.new_zeros(len(a), self.directions.shape[1]) if x is None else torch.as_tensor(x).to(a)
        opened = Opened(self.remaining, self.directions, self.text)
        return Point(
            opened, at, self.remaining.see(images), a, torch.as_tensor(indices, device=a.device).long()
        )


class NetworkScores:
    """Outputs and relevances of n images."""

    def __init__(self, tail: NetworkTail, point: Point) -> None:
        self._point = point
        self.values, self.indices = point.values, point.indices
        every = torch.arange(len(point.x), device=point.x.device)
        self.y = point.outputs(point.x, every) @ tail.text.T

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k] of pairs of an image and a prompt."""
        by = {ACT_X_GRAD: self._point.act_x_grad, ABLATION: self._point.leave_one_out}[form]
        return by(rows, prompts)


class NetworkActive:
    """The active units of n images."""

    def __init__(self, tail: NetworkTail, point: Point) -> None:
        self.tail, self.point = tail, point
        self.values, self.indices = point.values, point.indices
        self.sum = reconstruct(tail.tables, self.values, self.indices)
        self.energy = self.values * tail.norms[self.indices]

    def at(self, x: torch.Tensor) -> torch.Tensor:
        """x itself."""
        return x

    def stretch(self, start: torch.Tensor, end: torch.Tensor) -> "NetworkStretch":
        """From all active units at 0 to their activations."""
        return NetworkStretch(self.point._replace(x=start), self.point._replace(x=end), self.tail.path_steps)


class NetworkStretch:
    """n images between all of their active units at 0 and at their activations."""

    def __init__(self, start: Point, end: Point, path_steps: int) -> None:
        self._start, self._end, self._steps = start, end, path_steps

    def relevances(self, forms: Sequence[str], rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """R [n, c, k] at the end by form, for prompts int64 [n, c]."""
        image = torch.arange(len(rows), device=rows.device).repeat_interleave(rows.shape[1])
        shape = (*rows.shape, self._end.values.shape[1])
        return {form: self._by(form, image, rows.flatten()).view(shape) for form in forms}

    def walks(self, rows: torch.Tensor) -> tuple["NetworkWalk", "NetworkWalk"]:
        """Walks from the start and from the end, for one prompt per image, int64 [n]."""
        text = self._end.tail.text[rows]
        return NetworkWalk(self._start, text), NetworkWalk(self._end, text)

    def _by(self, form: str, image: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        if form == ABLATION:
            return self._end.leave_one_out(image, prompts)
        if form == ACT_X_GRAD:
            return self._end.act_x_grad(image, prompts)
        steps, whole = self._steps, self._end.x - self._start.x
        points = [self._start.x + (i + 0.5) / steps * whole for i in range(steps)]
        found = [self._end._replace(x=x).act_x_grad(image, prompts) for x in points]
        return torch.stack(found).mean(0)


class NetworkWalk(NamedTuple):
    """n images at one point each, ready to move along their units; one prompt per image."""

    point: Point
    text: torch.Tensor  # [n, p]

    @property
    def values(self) -> torch.Tensor:
        """[n, k], 0 is inactive."""
        return self.point.values

    def output(self) -> torch.Tensor:
        """y [n] where the walk is."""
        return (self.point.outputs(self.point.x, self._every) * self.text).sum(1)

    def curve(self, positions: torch.Tensor, sign: int) -> torch.Tensor:
        """y [n, S + 1] before and after each of S moves."""
        steps = torch.nn.functional.one_hot(positions.clamp(min=0), self.values.shape[1])
        taken = steps * (positions >= 0)[..., None] * (sign * self.values)[:, None]
        amounts = torch.nn.functional.pad(taken.cumsum(1), (0, 0, 1, 0))
        return self.point.moved(amounts, self._every, self.text)

    def single_moves(self, sign: int) -> torch.Tensor:
        """y [n, k] after moving each unit alone, from where the walk is."""
        return self.point.without_each(self._every, self.text, sign)

    def advance(self, position: torch.Tensor, sign: int) -> "NetworkWalk":
        """The walk after moving the unit at `position` int64 [n] of each image; -1 stays."""
        place = position.clamp(min=0)
        step = torch.where(position < 0, 0.0, sign * self.values[self._every, place])
        along = self.point.tail.directions[self.point.indices[self._every, place]]
        along = self.point.seen.field(along, self._every, place)
        return self._replace(point=self.point._replace(x=self.point.x + step[:, None] * along))

    @property
    def _every(self) -> torch.Tensor:
        return torch.arange(len(self.text), device=self.text.device)


class Network:
    """The rest of a model behind a block, for the images of one split; opens tails."""

    def __init__(self, clip: Clip, block: int, pixels: Callable[[np.ndarray], torch.Tensor]) -> None:
        place_of(clip, block)
        self._clip, self._block, self._pixels = clip, block, pixels
        self.site, self.stamp = f"block{block}", clip.stamp

    def tail(
        self, directions: np.ndarray, text: np.ndarray, device: str, dtype: torch.dtype, path_steps: int
    ) -> NetworkTail:
        """The tail for units and text vectors, in float32 or float64."""
        clip = self._clip._replace(model=self._clip.model.to(device), device=torch.device(device))
        remaining = Remaining(clip, self._block, self._pixels, dtype)
        return NetworkTail(remaining, remaining.head, directions, text, path_steps)


def open_network(
    *, weights: Path, index: Path, split: str, block: int, reading: Reading, threads: int = 1
) -> Network:
    """Entry point in the table of sites. Raises RelianceError for a block that the model does not have."""
    clip = load_model(weights)
    return Network(clip, block, pixels_of(read_split(index, split), reading, clip, threads))
