"""Passes over all images and classes: count what stands out, then collect the images of what was kept.

A pair (image, class) is looked at if the image is not of the class but scores like one: y above the
class's line. Two passes, because the images of all (class, component) that stand out somewhere are
too many to keep, and those of the few that survive the tests are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from reliance.base.finite import finite
from reliance.tails.protocol import Scores, Tail

if TYPE_CHECKING:
    from reliance.attribution.inputs import LabelledImages

_CHUNK = 1 << 21  # relevances computed at a time


class Lines(NamedTuple):
    """What images and relevances are compared with."""

    confident: torch.Tensor  # y above it is high confidence, inf for classes that are not mined [C]
    unexpected: torch.Tensor  # relevance above it is flagged: mean + min_z sigma [C, m]


class Tally(NamedTuple):
    """Counts over high-confidence images of other classes, and of the class itself; changed in place."""

    n_highconf: torch.Tensor  # high-confidence images of other classes, int64 [C]
    n_active: torch.Tensor  # of these, images on which a component fires, int32 [C, m]
    n_flagged: torch.Tensor  # of these, images whose relevance is above the line, int32 [C, m]
    relevance: torch.Tensor  # sum of the flagged relevances, float64 [C, m]
    n_own: torch.Tensor  # images of the class itself above the line, the component firing, int32 [C, m]

    @classmethod
    def zeros(cls, shape: tuple[int, ...], device: torch.device) -> Tally:
        """Counts of no images, for shape (C, m)."""
        dtypes = (torch.int32, torch.int32, torch.float64, torch.int32)
        n_highconf = torch.zeros(shape[0], dtype=torch.int64, device=device)
        return cls(n_highconf, *(torch.zeros(shape, dtype=dtype, device=device) for dtype in dtypes))


class Above(NamedTuple):
    """High-confidence images of other classes."""

    row: np.ndarray  # of the class, int64 [q]
    image_id: np.ndarray  # int64 [q]
    y: np.ndarray  # for the class [q]


class Scored(NamedTuple):
    """Images with their outputs and relevances."""

    image_id: np.ndarray  # int64 [n]
    label: torch.Tensor  # class row [n]
    scores: Scores


class Pairs(NamedTuple):
    """q pairs (image row, class row) and their k relevances beside the line."""

    rows: torch.Tensor  # [q]
    classes: torch.Tensor  # [q]
    cell: torch.Tensor  # position in a flat [C, m] table [q, k]
    active: torch.Tensor  # bool [q, k]
    relevance: torch.Tensor  # [q, k]
    flagged: torch.Tensor  # active and above the line, bool [q, k]


class Miner:
    """A tail applied to blocks of images; `relevance` is one of its forms, `where` names them in errors.

    Raises RelianceError for outputs and relevances that are not finite: they are above no line.
    """

    def __init__(self, tail: Tail, lines: Lines, relevance: str, where: str | Path = "relevances") -> None:
        self.where = where
        self.tail, self.lines, self.form, self.components = tail, lines, relevance, tail.units
        self._outputs = np.zeros(2)  # sum and number of those counted

    @property
    def mean_output(self) -> float:
        """The mean of y over all images that were counted and all classes."""
        return float(self._outputs[0] / max(self._outputs[1], 1))

    def count(self, block: LabelledImages, tally: Tally) -> Above:
        """Add a block to a tally; its high-confidence images of other classes, by class and image."""
        scored = self._score(block)
        self._outputs += [float(scored.scores.y.double().sum()), scored.scores.y.numel()]
        rows, classes = self._confident(scored)
        tally.n_highconf.add_(torch.bincount(classes, minlength=len(tally.n_highconf)))
        for found in self._compare(scored, rows, classes):
            _add(tally.n_active, found.cell, found.active)
            cell = found.cell[found.flagged]  # few: most relevances are below the line
            _add(tally.n_flagged, cell, torch.ones_like(cell))
            _add(tally.relevance, cell, found.relevance[found.flagged])
        every = torch.arange(len(scored.label), device=scored.label.device)
        for found in self._compare(scored, every, scored.label):
            cell = found.cell[found.flagged]
            _add(tally.n_own, cell, torch.ones_like(cell))
        image, row, y = (a.cpu().numpy() for a in (rows, classes, scored.scores.y[rows, classes]))
        return Above(row, scored.image_id[image], y)

    def collect(self, block: LabelledImages, kept: torch.Tensor) -> list[np.ndarray]:
        """Columns class row, component, image_id, y, relevance of the flagged cells of `kept`, bool [C, m].

        In no particular order.
        """
        scored = self._score(block)
        rows, classes = self._confident(scored)
        wanted = kept.any(1)[classes]
        columns = []
        for found in self._compare(scored, rows[wanted], classes[wanted]):
            pair, position = torch.nonzero(found.flagged, as_tuple=True)
            own = kept.view(-1).take(found.cell[pair, position])
            pair, position = pair[own], position[own]
            row, y = found.rows[pair], scored.scores.y[found.rows[pair], found.classes[pair]]
            columns.append((row, found.cell[pair, position], y, found.relevance[pair, position]))
        image, place, *numbers = (torch.cat(column).cpu().numpy() for column in zip(*columns, strict=True))
        return [place // self.components, place % self.components, scored.image_id[image], *numbers]

    def _score(self, block: LabelledImages) -> Scored:
        label = torch.as_tensor(block.label, device=self.tail.device)
        scores = self.tail.score(block.x, block.values, block.indices, block.image_id)
        self._refuse_unless_finite("y", scores.y)
        return Scored(block.image_id, label, scores)

    def _confident(self, scored: Scored) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, classes) of the high-confidence images of other classes, by class."""
        confident = scored.scores.y > self.lines.confident
        confident[torch.arange(len(scored.label), device=scored.label.device), scored.label] = False
        classes, rows = confident.T.nonzero(as_tuple=True)
        return rows, classes

    def _compare(self, scored: Scored, rows: torch.Tensor, classes: torch.Tensor) -> Iterator[Pairs]:
        """Pairs in chunks of about `_CHUNK` relevances; at least one chunk, which may be empty."""
        scores = scored.scores
        size = max(1, _CHUNK // scores.indices.shape[1])
        for i, c in zip(torch.split(rows, size), torch.split(classes, size), strict=True):
            r = scores.relevance(self.form, i, c)
            self._refuse_unless_finite(self.form, r)
            cell = scores.indices[i] + c[:, None] * self.components
            active = scores.values[i] != 0
            flagged = active & (r > self.lines.unexpected.view(-1).take(cell))
            yield Pairs(i, c, cell, active, r, flagged)

    def _refuse_unless_finite(self, name: str, numbers: torch.Tensor) -> None:
        if not torch.isfinite(numbers.sum()):  # one number says whether all have to be looked at
            finite(self.where, name, numbers.cpu().numpy())


def _add(table: torch.Tensor, cell: torch.Tensor, amount: torch.Tensor) -> None:
    """Add amounts to cells, of one shape, of a table, in place."""
    table.view(-1).index_add_(0, cell.view(-1), amount.reshape(-1).to(table.dtype))
