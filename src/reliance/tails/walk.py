"""The output along a sequence of deletions or insertions, exactly and without the head (Eqs. 1, 4).

Changing the activation of latent j by e moves the class token x by e v_j. With c(.) = minus mean,
u = (g * c(x)) W, B_j = (g * c(v_j)) W and b = beta W, the output

    y = (u.t + s b.t) / |u + s b|,    s^2 = |c(x)|^2 / d + eps

depends on x through four numbers only, u.t, u.b, |u|^2 and |c(x)|^2. Moves along the active latents
change them by B_j.t, B_j.b, B_j.u, v_j.c(x) and the two Gram matrices B_j.B_l and c(v_j).c(v_l) of an
image, k x k each. Once these are known, a curve costs S^2 numbers per image, whatever d and p are; where
k is large, only the entries that moves ask for are made. All of it is float64. Where the projected
embedding u + s b is 0, y is 0.
"""

from typing import NamedTuple, Protocol

import torch

from reliance.tails.integrated import Points, Prompted, row_blocks
from reliance.tails.relevance import LatentTables, centre, row_dots

_NOTHING = 1e-13  # a squared length below this share of what was summed up to it is rounding, hence 0
_WHOLE = 128  # latents per image up to which whole Gram matrices are kept


class Products(NamedTuple):
    """Inner products of latents of n images."""

    spread: torch.Tensor  # c(v_j) . c(v_l), 0 for a head without LayerNorm
    lens: torch.Tensor  # B_j . B_l


class Grams(Protocol):
    """Inner products of the active latents of each image, by their places in its code."""

    def squares(self) -> Products:
        """Of every latent with itself [n, k]."""

    def among(self, places: torch.Tensor) -> Products:
        """Of the latents at places int64 [n, S] with each other [n, S, S]."""

    def beside(self, place: torch.Tensor) -> Products:
        """Of the latent at place int64 [n] with all of its image [n, k]."""


class WholeGrams:
    """All inner products [n, k, k], kept."""

    def __init__(self, tables: LatentTables, indices: torch.Tensor) -> None:
        n, k = indices.shape
        spread, lens = (tables.decoder.new_empty(n, k, k) for _ in range(2))
        for rows in row_blocks(tables, indices):
            _products(tables, indices[rows], Products(spread[rows], lens[rows]))
        self.products = Products(spread, lens)

    def squares(self) -> Products:
        """The diagonals [n, k]."""
        return Products(*(gram.diagonal(dim1=1, dim2=2) for gram in self.products))

    def among(self, places: torch.Tensor) -> Products:
        """The entries [n, S, S] at some places."""
        k, size = self.products.lens.shape[1], places.shape[1]
        rows = places[:, :, None].expand(-1, -1, k)
        columns = places[:, None, :].expand(-1, size, -1)
        return Products(*(gram.gather(1, rows).gather(2, columns) for gram in self.products))

    def beside(self, place: torch.Tensor) -> Products:
        """One row [n, k] each."""
        image = torch.arange(len(place), device=place.device)
        return Products(*(gram[image, place] for gram in self.products))


class LazyGrams:
    """Inner products that are made when they are asked for: n k (d + p) operations per row."""

    def __init__(self, tables: LatentTables, indices: torch.Tensor) -> None:
        self._tables, self._indices = tables, indices

    def squares(self) -> Products:
        """From the tables [n, k]."""
        return Products(self._tables.spread[self._indices], self._tables.length[self._indices])

    def among(self, places: torch.Tensor) -> Products:
        """The entries [n, S, S] at some places."""
        chosen = self._indices.gather(1, places)
        n, size = chosen.shape
        found = Products(*(self._tables.decoder.new_empty(n, size, size) for _ in range(2)))
        for rows in row_blocks(self._tables, chosen):
            _products(self._tables, chosen[rows], Products(found.spread[rows], found.lens[rows]))
        return found

    def beside(self, place: torch.Tensor) -> Products:
        """One row [n, k] each."""
        chosen = self._indices.gather(1, place[:, None])[:, 0]
        (lens,) = row_dots(self._tables.lens, self._indices, [self._tables.lens[chosen]])
        if not self._tables.normed:
            return Products(torch.zeros_like(lens), lens)
        moved = centre(self._tables, self._tables.decoder[chosen])
        (spread,) = row_dots(self._tables.decoder, self._indices, [moved])
        return Products(spread, lens)


def _products(tables: LatentTables, indices: torch.Tensor, out: Products) -> None:
    """Inner products of latents `indices` int64 [n, k] with each other, into [n, k, k]."""
    projected = tables.lens[indices]
    torch.bmm(projected, projected.transpose(1, 2), out=out.lens)
    if tables.normed:
        v = tables.decoder[indices]
        v -= v.mean(2, keepdim=True)
        torch.bmm(v, v.transpose(1, 2), out=out.spread)
    else:
        out.spread.zero_()


def grams(tables: LatentTables, indices: torch.Tensor) -> Grams:
    """Gram matrices of the latents `indices` int64 [n, k] of n images; made lazily where k is large."""
    return WholeGrams(tables, indices) if indices.shape[1] <= _WHOLE else LazyGrams(tables, indices)


class Totals(NamedTuple):
    """The four numbers that y depends on, each [n, ...]."""

    text: torch.Tensor  # u . t
    bias: torch.Tensor  # u . b
    length: torch.Tensor  # |u|^2
    square: torch.Tensor  # |c(x)|^2


class HeadWalk(NamedTuple):
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

    def output(self) -> torch.Tensor:
        """y [n] where the walk is."""
        return self._output(self.totals)[:, 0]

    def curve(self, positions: torch.Tensor, sign: int) -> torch.Tensor:
        """y [n, S + 1] before and after each of S moves.

        positions : int64 [n, S], place of the latent in the image's code; -1 moves nothing.
        sign : -1 deletes the latents (a walk that starts at x), +1 inserts them (one from x - aV).
        """
        place = positions.clamp(min=0)
        step = torch.where(positions < 0, 0.0, sign * self.values.gather(1, place))

        def line(slope: torch.Tensor) -> torch.Tensor:
            return _from_zero((step * slope.gather(1, place)).cumsum(1))

        def bend(products: torch.Tensor) -> torch.Tensor:
            moved = products * step[:, :, None] * step[:, None]
            return _from_zero(moved.cumsum(1).cumsum(2).diagonal(dim1=1, dim2=2))

        inner = self.grams.among(place)
        text, bias, length, square = self.totals
        totals = Totals(
            text + line(self.along),
            bias + line(self.bias_dot),
            length + 2 * line(self.toward) + bend(inner.lens),
            square + 2 * line(self.shift) + bend(inner.spread),
        )
        return self._output(totals)

    def single_moves(self, sign: int) -> torch.Tensor:
        """y [n, k] after moving each latent alone, from where the walk is."""
        step, own = sign * self.values, self.grams.squares()
        text, bias, length, square = self.totals
        totals = Totals(
            text + step * self.along,
            bias + step * self.bias_dot,
            length + 2 * step * self.toward + step.square() * own.lens,
            square + 2 * step * self.shift + step.square() * own.spread,
        )
        return self._output(totals)

    def advance(self, position: torch.Tensor, sign: int) -> "HeadWalk":
        """The walk after moving latent `position` int64 [n] of each image; -1 stays."""
        image = torch.arange(len(position), device=position.device)
        place = position.clamp(min=0)
        step = torch.where(position < 0, 0.0, sign * self.values[image, place])[:, None]

        def pick(numbers: torch.Tensor) -> torch.Tensor:
            return numbers[image, place][:, None]

        beside = self.grams.beside(place)
        text, bias, length, square = self.totals
        totals = Totals(
            text + step * pick(self.along),
            bias + step * pick(self.bias_dot),
            length + 2 * step * pick(self.toward) + step.square() * pick(beside.lens),
            square + 2 * step * pick(self.shift) + step.square() * pick(beside.spread),
        )
        shift, toward = self.shift + step * beside.spread, self.toward + step * beside.lens
        return self._replace(shift=shift, toward=toward, totals=totals)

    def _output(self, totals: Totals) -> torch.Tensor:
        """y (Eq. 4) where the four numbers are `totals` [n, ...]; 0 where the embedding is 0."""
        s = (totals.square.clamp(min=0) / self.width + self.eps).sqrt()
        length = totals.length + 2 * s * totals.bias + s.square() * self.bias_square
        y = (totals.text + s * self.bias_text) / length.clamp(min=self.least).sqrt()
        return torch.where(length > self.least, y, 0.0)


def walk(
    tables: LatentTables,
    inner: Grams,
    points: Points,
    values: torch.Tensor,
    indices: torch.Tensor,
    prompted: Prompted,
) -> HeadWalk:
    """Walk that starts at `points`, with the first prompt of each image; codes are [n, k]."""
    u = points.projected
    numbers = ((u * prompted.text[:, 0]).sum(1), u @ tables.bias, u.square().sum(1), points.square)
    totals = Totals(*(number[:, None] for number in numbers))
    summed = totals.length + (values.square() * inner.squares().lens).sum(1, keepdim=True)
    return HeadWalk(
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


def _from_zero(sums: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(sums, (1, 0))
