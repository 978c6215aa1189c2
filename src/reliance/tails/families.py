"""Families of units as units of their own: relevances of all members together, in closed form.

With S the members of a family that are active in an image, the family's relevance is

    act x grad:   sum over S of R_j, the slope of y when all members grow at once
    exact:        y - y with all of S removed at once,

where removing S takes D = sum over S of a_j v_j away from x. In `tails.relevance` that is leave-one-out of
one unit of direction D at activation 1; its inner products are sums of those of the members,

    D . c(x) = sum a_j v_j . c(x),    |c(D)|^2 = sum a_i a_j c(v_i) . c(v_j),    B_D = sum a_j B_j,

so no image asks for a direction of its own. Units keep their numbers 0 to m - 1, family f is m + f.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from reliance.tails.head_tail import HeadTail
from reliance.tails.integrated import row_blocks
from reliance.tails.kin import kin
from reliance.tails.protocol import ABLATION, ACT_X_GRAD, Active, Array, Tail
from reliance.tails.relevance import Coefficients, ablation, centre, image_terms, outputs, pair_relevance


class FamilyTail:
    """Units and families of a tail in closed form, as m + F units.

    Parameters
    ----------
    families : int64 [L, m], the family 0 to F - 1 of every unit at each level, -1 without one. Levels do
        not share families.
    """

    forms: Sequence[str] = (ACT_X_GRAD, ABLATION)

    def __init__(self, tail: HeadTail, families: np.ndarray) -> None:
        self.tail = tail
        self.families = torch.as_tensor(families, dtype=torch.int64, device=tail.device)
        self.count = int(families.max(initial=-1)) + 1

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.tail.device

    @property
    def prompts(self) -> int:
        """C."""
        return self.tail.prompts

    @property
    def units(self) -> int:
        """m + F."""
        return self.tail.units + self.count

    def score(
        self, x: Array, values: Array, indices: Array, images: np.ndarray | None = None
    ) -> "FamilyScores":
        """Outputs and relevances of n images; codes become k + W wide, see `Kin`."""
        return FamilyScores(self, x, values, indices)

    def alone(self) -> torch.Tensor:
        """A family has no direction without an image."""
        raise NotImplementedError("a family has no direction of its own")

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> Active:
        """Families are removed whole, by `score`."""
        raise NotImplementedError("families are removed whole: ask for the relevance 'ablation'")


def summed_rows(
    rows: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor
) -> torch.Tensor:
    """Weighted sums [g, d] of rows `chosen` int64 [e] of a matrix; sum i begins at offsets[i], int64 [g]."""
    return embedding_bag(chosen, rows, offsets, per_sample_weights=weights, mode="sum")


class FamilyScores:
    """Outputs and relevances of n images: columns are the units, then the families of all levels.

    The activation of a family is the sum of its members'.
    """

    def __init__(self, tail: FamilyTail, x: Array, values: Array, indices: Array) -> None:
        self._tail, tables = tail.tail, tail.tail.tables
        self._terms = terms = image_terms(tables, x, values, indices)
        self.y = outputs(terms, self._tail.texts)
        self._kin = found = kin(
            terms.values != 0, torch.stack([of[terms.indices] for of in tail.families], 1)
        )
        families = torch.where(found.of >= 0, self._tail.units + found.of, 0)
        self.values = torch.cat([terms.values, found.sums(terms.values)], 1)
        self.indices = torch.cat([terms.indices, families], 1)
        self._coefficients: dict[str, tuple[Coefficients, ...]] = {}

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k + W] of pairs of an image and a prompt."""
        own, *removed = self._made(form)
        texts, indices, y = self._tail.texts, self._terms.indices, self.y[rows, prompts]
        single = pair_relevance(own, indices, texts, rows, prompts, y)
        if form == ACT_X_GRAD:
            return torch.cat([single, self._kin.sums(single, rows)], 1)
        cell = indices[rows] + prompts[:, None] * self._tail.units
        along = self._kin.sums(texts.along.reshape(-1).take(cell) * self._terms.values[rows], rows)
        (whole,), bias = removed, texts.bias[prompts][:, None]
        families = whole.along[rows] * along + whole.output[rows] * y[:, None] + whole.bias[rows] * bias
        return torch.cat([single, families], 1)

    def _made(self, form: str) -> tuple[Coefficients, ...]:
        """Coefficients of units, and for the exact form those of families."""
        if form not in self._coefficients:
            own = self._tail.at_one_point[form](self._tail.tables, self._terms)
            self._coefficients[form] = (own, self._removals()) if form == ABLATION else (own,)
        return self._coefficients[form]

    def _removals(self) -> Coefficients:
        """Of families as units of their own: direction D at activation 1."""
        tables, terms, sums = self._tail.tables, self._terms, self._kin.sums
        a, j, of = terms.values, terms.indices, self._kin.of
        inner = (terms.shift, terms.toward, tables.bias_dot[j])
        shift, toward, bias = (sums(a * part) for part in inner)
        several = self._kin.several
        spread, length = (
            sums(a.square() * alone[j]).masked_scatter(several, joint)
            for alone, joint in zip((tables.spread, tables.length), self._joint(several), strict=True)
        )
        places = torch.arange(of.numel(), device=of.device).view(of.shape)
        whole = tables._replace(
            spread=spread.reshape(-1), length=length.reshape(-1), bias_dot=bias.reshape(-1)
        )
        own = terms._replace(values=(of >= 0).to(a), indices=places, shift=shift, toward=toward)
        return ablation(whole, own)

    def _joint(self, several: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """|c(D)|^2 and |B_D|^2 of the families in `several` bool [n, W], row by row.

        Rows of members are summed in blocks, so that memory holds no [n, W, d].
        """
        tables, (of, place, column) = self._tail.tables, self._kin
        spare = several.new_zeros(len(several), 1)
        chosen = torch.cat([several, spare], 1).gather(1, column)  # memberships of these families [n, E]
        image, entry = torch.nonzero(chosen, as_tuple=True)
        at = place[image, entry]
        units, weights = self._terms.indices[image, at], self._terms.values[image, at]
        group = image * (of.shape[1] + 1) + column[image, entry]
        starts = torch.cat(
            [group.new_zeros(1), 1 + torch.nonzero(group.diff())[:, 0], group.new_tensor([len(group)])]
        )
        found = [weights.new_zeros(int(several.sum())) for _ in range(2)]
        for part in row_blocks(tables, found[0][:, None]):
            offsets = starts[part.start : part.stop + 1]
            rows = slice(int(offsets[0]), int(offsets[-1]))
            bag = units[rows], weights[rows], offsets[:-1] - offsets[0]
            if tables.normed:
                found[0][part] = centre(tables, summed_rows(tables.decoder, *bag)).norm(dim=1).square()
            found[1][part] = summed_rows(tables.lens, *bag).norm(dim=1).square()
        return found[0], found[1]


def with_families(tail: Tail, families: np.ndarray) -> Tail:
    """A tail of units and their families; the tail itself if there are none.

    Raises TypeError for a tail that runs a network: families have a closed form behind a head only.
    """
    if not families.size or families.max() < 0:
        return tail
    if not isinstance(tail, HeadTail):
        raise TypeError("families are removed in closed form, behind a head")
    return FamilyTail(tail, families)
