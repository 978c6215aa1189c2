"""The output along a sequence of deletions or insertions, exactly and without the head (Eqs. 1, 4).

Changing the activation of latent j by e moves the class token x by e v_j. With c(.) = minus mean,
u = (g * c(x)) W, B_j = (g * c(v_j)) W and b = beta W, the output

    y = (u.t + s b.t) / |u + s b|,    s^2 = |c(x)|^2 / d + eps

depends on x through four numbers only, u.t, u.b, |u|^2 and |c(x)|^2. Moves along the active latents
change them by B_j.t, B_j.b, B_j.u, v_j.c(x) and the two Gram matrices B_j.B_l and c(v_j).c(v_l) of an
image, k x k each. Once these are known, a curve costs S^2 numbers per image, whatever d and p are.
All of it is float64. Where the projected embedding u + s b is 0, y is 0.
"""

from typing import NamedTuple

import torch

from reliance.attribution.integrated import Points, Prompted, row_blocks
from reliance.tails.head import LatentTables

_NOTHING = 1e-13  # a squared length below this share of what was summed up to it is rounding, hence 0


class Grams(NamedTuple):
    """Inner products of the latents of each image, [n, k, k]."""

    spread: torch.Tensor  # c(v_j) . c(v_l)
    lens: torch.Tensor  # B_j . B_l


class Totals(NamedTuple):
    """The four numbers that y depends on, each [n, ...]."""

    text: torch.Tensor  # u . t
    bias: torch.Tensor  # u . b
    length: torch.Tensor  # |u|^2
    square: torch.Tensor  # |c(x)|^2


class Walk(NamedTuple):
    """n images at one point each, ready to move along their latents; one prompt per image."""

    values: torch.Tensor  # a [n, k], 0 is inactive
    along: torch.Tensor  # B_j . t [n, k]
    bias_dot: torch.Tensor  # B_j . b [n, k]
    grams: Grams
    shift: torch.Tensor  # v_j . c(x) [n, k], at the point
    toward: torch.Tensor  # B_j . u [n, k], at the point
    totals: Totals  # at the point, [n, 1] each
    bias_text: torch.Tensor  # b . t [n, 1]
    bias_square: torch.Tensor  # |b|^2
    width: int  # d
    eps: float
    least: torch.Tensor  # squared length that counts as 0 [n, 1]


def grams(tables: LatentTables, indices: torch.Tensor) -> Grams:
    """Gram matrices of the latents `indices` int64 [n, k] of n images."""
    n, k = indices.shape
    spread, lens = (tables.decoder.new_empty(n, k, k) for _ in range(2))
    for rows in row_blocks(tables, indices):
        v, projected = tables.decoder[indices[rows]], tables.lens[indices[rows]]
        v -= v.mean(2, keepdim=True)
        torch.bmm(v, v.transpose(1, 2), out=spread[rows])
        torch.bmm(projected, projected.transpose(1, 2), out=lens[rows])
    return Grams(spread, lens)


def walk(
    tables: LatentTables,
    inner: Grams,
    points: Points,
    values: torch.Tensor,
    indices: torch.Tensor,
    prompted: Prompted,
) -> Walk:
    """Walk that starts at `points`, with the first prompt of each image; codes are [n, k]."""
    u = points.projected
    numbers = ((u * prompted.text[:, 0]).sum(1), u @ tables.bias, u.square().sum(1), points.square)
    totals = Totals(*(number[:, None] for number in numbers))
    summed = totals.length + (values.square() * inner.lens.diagonal(dim1=1, dim2=2)).sum(1, keepdim=True)
    return Walk(
        values,
        prompted.along[:, 0],
        tables.bias_dot[indices],
        inner,
        points.shift,
        points.toward,
        totals,
        prompted.bias[:, :1],
        tables.bias.square().sum(),
        tables.weight.shape[0],
        tables.eps,
        _NOTHING * summed,
    )


def output(at: Walk, totals: Totals) -> torch.Tensor:
    """y (Eq. 4) where the four numbers are `totals` [n, ...]; 0 where the embedding is 0."""
    s = (totals.square.clamp(min=0) / at.width + at.eps).sqrt()
    length = totals.length + 2 * s * totals.bias + s.square() * at.bias_square
    y = (totals.text + s * at.bias_text) / length.clamp(min=at.least).sqrt()
    return torch.where(length > at.least, y, 0.0)


def curve(at: Walk, positions: torch.Tensor, sign: int) -> torch.Tensor:
    """y [n, S + 1] before and after each of S moves.

    positions : int64 [n, S], place of the latent in the image's code; -1 moves nothing.
    sign : -1 deletes the latents (a walk that starts at x), +1 inserts them (one from x - aV).
    """
    k, size = at.values.shape[1], positions.shape[1]
    place = positions.clamp(min=0)
    step = torch.where(positions < 0, 0.0, sign * at.values.gather(1, place))

    def line(slope: torch.Tensor) -> torch.Tensor:
        return _from_zero((step * slope.gather(1, place)).cumsum(1))

    def bend(gram: torch.Tensor) -> torch.Tensor:
        rows = gram.gather(1, place[:, :, None].expand(-1, -1, k))
        moved = rows.gather(2, place[:, None, :].expand(-1, size, -1)) * step[:, :, None] * step[:, None]
        return _from_zero(moved.cumsum(1).cumsum(2).diagonal(dim1=1, dim2=2))

    text, bias, length, square = at.totals
    totals = Totals(
        text + line(at.along),
        bias + line(at.bias_dot),
        length + 2 * line(at.toward) + bend(at.grams.lens),
        square + 2 * line(at.shift) + bend(at.grams.spread),
    )
    return output(at, totals)


def single_moves(at: Walk, sign: int) -> torch.Tensor:
    """y [n, k] after moving each latent alone, from where the walk is."""
    step = sign * at.values
    text, bias, length, square = at.totals
    totals = Totals(
        text + step * at.along,
        bias + step * at.bias_dot,
        length + 2 * step * at.toward + step.square() * at.grams.lens.diagonal(dim1=1, dim2=2),
        square + 2 * step * at.shift + step.square() * at.grams.spread.diagonal(dim1=1, dim2=2),
    )
    return output(at, totals)


def advance(at: Walk, position: torch.Tensor, sign: int) -> Walk:
    """The walk after moving latent `position` int64 [n] of each image; -1 stays."""
    image = torch.arange(len(position), device=position.device)
    place = position.clamp(min=0)
    step = torch.where(position < 0, 0.0, sign * at.values[image, place])[:, None]

    def pick(numbers: torch.Tensor) -> torch.Tensor:
        return numbers[image, place][:, None]

    rows = Grams(*(gram[image, place] for gram in at.grams))
    text, bias, length, square = at.totals
    totals = Totals(
        text + step * pick(at.along),
        bias + step * pick(at.bias_dot),
        length + 2 * step * pick(at.toward) + step.square() * pick(rows.lens),
        square + 2 * step * pick(at.shift) + step.square() * pick(rows.spread),
    )
    shift, toward = at.shift + step * rows.spread, at.toward + step * rows.lens
    return at._replace(shift=shift, toward=toward, totals=totals)


def _from_zero(sums: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(sums, (1, 0))
