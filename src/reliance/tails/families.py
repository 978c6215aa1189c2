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
from typing import NamedTuple

import numpy as np
import torch

from reliance.tails.head_tail import HeadTail
from reliance.tails.protocol import ABLATION, ACT_X_GRAD, Active, Array, Tail
from reliance.tails.relevance import Coefficients, ablation, image_terms, outputs, pair_relevance
from reliance.tails.walk import grams


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
        """Outputs and relevances of n images; codes become k (1 + L) wide."""
        return FamilyScores(self, x, values, indices)

    def alone(self) -> torch.Tensor:
        """A family has no direction without an image."""
        raise NotImplementedError("a family has no direction of its own")

    def activate(self, values: Array, indices: Array, images: np.ndarray | None = None) -> Active:
        """Families are removed whole, by `score`."""
        raise NotImplementedError("families are removed whole: ask for the relevance 'ablation'")


class Kin(NamedTuple):
    """The families of one level in n images: a family stands where its first active member does."""

    member: torch.Tensor  # 1 where a unit is active and has a family, else 0 [n, k]
    first: torch.Tensor  # place of the first member of the family of each place, int64 [n, k]
    of: torch.Tensor  # family at each place, -1 without one, int64 [n, k]

    def sums(self, numbers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Sums of numbers [q, k] over the members of each family, at its place [q, k].

        rows : images int64 [q] that the numbers are of; None: all, in order.
        """
        member, first = (self.member, self.first) if rows is None else (self.member[rows], self.first[rows])
        return torch.zeros_like(numbers).scatter_add(1, first, numbers * member)

    def present(self) -> torch.Tensor:
        """Whether a family stands at a place, bool [n, k]."""
        places = torch.arange(self.first.shape[1], device=self.first.device)
        return (self.first == places) & (self.of >= 0)


def kin(active: torch.Tensor, families: torch.Tensor) -> Kin:
    """From bool [n, k] and the families of the units at each place, -1 without one, int64 [n, k]."""
    of = torch.where(active, families, -1)
    same = of[:, :, None] == of[:, None, :]
    return Kin((of >= 0).float(), same.to(torch.uint8).argmax(2), of)


class FamilyScores:
    """Outputs and relevances of n images: columns are the units, then the families of every level.

    The activation of a family is the sum of its members'.
    """

    def __init__(self, tail: FamilyTail, x: Array, values: Array, indices: Array) -> None:
        self._tail, tables = tail.tail, tail.tail.tables
        self._terms = terms = image_terms(tables, x, values, indices)
        self.y = outputs(terms, self._tail.texts)
        self._kin = []
        columns = [terms.values], [terms.indices]
        for level in tail.families:
            found = kin(terms.values != 0, level[terms.indices])
            own = found._replace(member=found.member.to(terms.values))
            self._kin.append(own)
            columns[0].append(own.sums(terms.values))
            columns[1].append(torch.where(own.present(), self._tail.units + own.of, 0))
        self.values, self.indices = (torch.cat(column, 1) for column in columns)
        self._coefficients: dict[str, list[Coefficients]] = {}

    def relevance(self, form: str, rows: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """R [q, k (1 + L)] of pairs of an image and a prompt."""
        own, *removed = self._made(form)
        texts, indices, y = self._tail.texts, self._terms.indices, self.y[rows, prompts]
        single = pair_relevance(own, indices, texts, rows, prompts, y)
        if form == ACT_X_GRAD:
            return torch.cat([single, *(level.sums(single, rows) for level in self._kin)], 1)
        cell = indices[rows] + prompts[:, None] * self._tail.units
        along = texts.along.reshape(-1).take(cell) * self._terms.values[rows]
        bias = texts.bias[prompts][:, None]
        families = [
            c.along[rows] * level.sums(along, rows) + c.output[rows] * y[:, None] + c.bias[rows] * bias
            for c, level in zip(removed, self._kin, strict=True)
        ]
        return torch.cat([single, *families], 1)

    def _made(self, form: str) -> list[Coefficients]:
        """Coefficients of units, and for the exact form those of the families of every level."""
        if form not in self._coefficients:
            found = [self._tail.at_one_point[form](self._tail.tables, self._terms)]
            if form == ABLATION:
                found += self._removals()
            self._coefficients[form] = found
        return self._coefficients[form]

    def _removals(self) -> list[Coefficients]:
        tables, terms = self._tail.tables, self._terms
        a, (n, k) = terms.values, terms.values.shape
        places = torch.arange(n * k, device=a.device).view(n, k)
        every = torch.arange(k, device=a.device).expand(n, k)
        products = [gram * a[:, :, None] * a[:, None] for gram in grams(tables, terms.indices).among(every)]
        found = []
        for level in self._kin:
            same = (level.first[:, :, None] == level.first[:, None]).to(a) * level.member[:, None]
            spread, length = (level.sums((gram * same).sum(2)) for gram in products)
            inner = (terms.shift, terms.toward, tables.bias_dot[terms.indices])
            shift, toward, bias = (level.sums(a * part) for part in inner)
            flat = (spread.reshape(-1), length.reshape(-1), bias.reshape(-1))
            whole = tables._replace(spread=flat[0], length=flat[1], bias_dot=flat[2])
            present = level.present().to(a)
            own = terms._replace(values=present, indices=places, shift=shift, toward=toward)
            found.append(ablation(whole, own))
        return found


def with_families(tail: Tail, families: np.ndarray) -> Tail:
    """A tail of units and their families; the tail itself if there are none.

    Raises TypeError for a tail that runs a network: families have a closed form behind a head only.
    """
    if not families.size or families.max() < 0:
        return tail
    if not isinstance(tail, HeadTail):
        raise TypeError("families are removed in closed form, behind a head")
    return FamilyTail(tail, families)
