"""Images at one point each before the remaining blocks: outputs there, after changes, and slopes."""

from typing import NamedTuple

import torch
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from reliance.tails.remaining import Remaining, Seen

_TOKENS = 1 << 23  # elements of tokens [b, T, d] that go through the blocks at once


class Opened(NamedTuple):
    """What all points of a tail share."""

    remaining: Remaining
    directions: torch.Tensor  # v [m, d]
    text: torch.Tensor  # t [C, p], unit rows


class Point(NamedTuple):
    """n images at one point each, with the other tokens of the block."""

    tail: Opened
    x: torch.Tensor  # [n, d]
    seen: Seen  # the other tokens of the n images
    values: torch.Tensor  # a [n, k]
    indices: torch.Tensor  # int64 [n, k]

    def outputs(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """z / |z| [b, p] of class tokens x [b, d] among the other tokens of images `rows` int64 [b]."""
        size = max(1, _TOKENS // max(1, self.seen.size))
        with torch.no_grad():
            parts = zip(torch.split(x, size), torch.split(rows, size), strict=True)
            found = [_unit(self.tail.remaining.run(part, self.seen.take(own))) for part, own in parts]
        return torch.cat([x.new_zeros(0, self.tail.text.shape[1]), *found])

    def moved(self, amounts: torch.Tensor, rows: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """y [r, s] after adding amounts [r, s, k] of the units of images `rows` [r]; prompts text [r, p]."""
        s, found = amounts.shape[1], [amounts.new_zeros(0, amounts.shape[1])]
        size = max(1, _TOKENS // max(1, s * self.x.shape[1]))
        for change, own, t in zip(
            torch.split(amounts, size), torch.split(rows, size), torch.split(text, size), strict=True
        ):
            x = self.x[own, None] + self.seen.shift(change, self.tail.directions[self.indices[own]], own)
            unit = self.outputs(x.flatten(0, 1), own.repeat_interleave(s)).reshape(*x.shape[:2], t.shape[1])
            found.append((unit @ t[:, :, None])[..., 0])
        return torch.cat(found)

    def without_each(self, rows: torch.Tensor, text: torch.Tensor, sign: int = -1) -> torch.Tensor:
        """y [r, k] after moving each unit of images `rows` alone."""
        return self.moved(sign * torch.diag_embed(self.values[rows]), rows, text)

    def gradients(self, rows: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """a_j dy/da_j [q, k] of images `rows` [q] and one prompt each, text [q, p]: a backward pass each."""
        size = max(1, _TOKENS // max(1, 2 * self.seen.size))
        found = [self.values.new_zeros(0, self.values.shape[1])]
        for own, t in zip(torch.split(rows, size), torch.split(text, size), strict=True):
            x = self.x[own].detach().requires_grad_(True)
            with torch.enable_grad():
                y = (_unit(self.tail.remaining.run(x, self.seen.take(own))) * t).sum()
                (slope,) = torch.autograd.grad(y, x)
            v = self.tail.directions[self.indices[own]]
            found.append(self.values[own] * self.seen.along(slope, v, own))
        return torch.cat(found)

    def products(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(z [r, p], J v_j [r, k, p]) of images `rows` [r], by forward-mode differentiation."""
        size = max(1, _TOKENS // max(1, 2 * self.seen.size))
        k = self.values.shape[1]
        image, place = rows.repeat_interleave(k), torch.arange(k, device=rows.device).repeat(len(rows))
        v = self.seen.field(self.tail.directions[self.indices[image, place]], image, place)
        z, moved = [], []
        for own, along in zip(torch.split(image, size), torch.split(v, size), strict=True):
            tokens = self.seen.take(own)
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
                out = jvp(lambda x, t=tokens: self.tail.remaining.run(x, t), (self.x[own],), (along,))
            z.append(out[0])
            moved.append(out[1])
        both = [torch.cat([v.new_zeros(0, self.tail.text.shape[1]), *part]) for part in (z, moved)]
        shape = (len(rows), k, -1) if len(rows) else (0, k, self.tail.text.shape[1])
        return both[0].view(shape)[:, 0], both[1].view(shape)

    def act_x_grad(self, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k] of pairs of an image and a prompt, by what costs less (see above)."""
        images, own = torch.unique(rows, return_inverse=True)
        if len(rows) <= len(images) * self.values.shape[1]:
            return self.gradients(rows, self.tail.text[prompts])
        z, along = self.products(images)
        length, unit, text = z.norm(dim=1), _unit(z), self.tail.text[prompts]
        y = (unit[own] * text).sum(1, keepdim=True)
        toward = (text - y * unit[own]) / length[own, None]
        relevance: torch.Tensor = self.values[rows] * (along[own] @ toward[:, :, None])[..., 0]
        return relevance

    def leave_one_out(self, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k]: y minus y without the unit, by running the blocks; 0 for a unit that is not active."""
        text = self.tail.text[prompts]
        y = (self.outputs(self.x[rows], rows) * text).sum(1, keepdim=True)
        return torch.where(self.values[rows] != 0, y - self.without_each(rows, text), 0.0)


def _unit(z: torch.Tensor) -> torch.Tensor:
    unit: torch.Tensor = z / z.norm(dim=-1, keepdim=True)
    return unit
