"""The images of a view with their outputs, and what happens to them when units are changed.

A changed unit moves the site vector by (new activation - activation) v_j, the error of the reconstruction
stays (`error_term: frozen`), and the head is applied again: exact, whatever the number of units.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array

from reliance.attribution.inputs import Inputs
from reliance.encoders.head import Head, project
from reliance.matching.matches import sparse_rows


class Winners(NamedTuple):
    """The two best classes of every image."""

    first: np.ndarray  # class row [n]
    second: np.ndarray
    best: np.ndarray  # y of these, float32 [n]
    next: np.ndarray


class Scene:
    """Every `every_nth` image of a split that has a class and could be read.

    inputs : of the split, with the latents of an SAE behind a head.
    """

    def __init__(self, inputs: Inputs, every_nth: int, block_rows: int = 4096) -> None:
        if not isinstance(inputs.head, Head):
            raise TypeError("units are changed in closed form, behind a head")
        self.inputs, self.head, self.block_rows = inputs, inputs.head, block_rows
        valid = inputs.embeddings.read("valid").astype(bool)
        view = (np.arange(len(valid)) % every_nth == 0) & (inputs.labels >= 0) & valid
        self.ids = np.flatnonzero(view)
        self.label = inputs.labels[self.ids]
        z = inputs.embeddings.z_of(self.ids)
        self.unit: np.ndarray = _unit(z)
        self.text = _unit(inputs.text)

    def places(self, image_ids: np.ndarray) -> np.ndarray:
        """Places of images of the view, int64."""
        return np.searchsorted(self.ids, image_ids)

    def row_of(self, class_id: int) -> int:
        """Row of a class."""
        return int(np.searchsorted(self.inputs.class_ids, class_id))

    @cached_property
    def active(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes of all images: values float32 [n, k], 0 is inactive, and indices int64 [n, k]."""
        rows = self.inputs.units.rows
        starts = range(0, rows, self.block_rows)
        blocks = [self.inputs.units.block(start, min(start + self.block_rows, rows)) for start in starts]
        values, indices = (np.concatenate([block[i] for block in blocks])[self.ids] for i in (0, 1))
        return values, indices

    @cached_property
    def codes(self) -> csc_array:
        """Activations float32 [n, m] by unit."""
        return sparse_rows(*self.active, self.inputs.units.m).tocsc()

    @cached_property
    def x(self) -> np.ndarray:
        """Site vectors of all images [n, d], as they are stored."""
        return self.inputs.embeddings.take("x", self.ids)

    @cached_property
    def winners(self) -> Winners:
        """The two best classes by the prompts that the view is about."""
        found = []
        for start in range(0, len(self.unit), self.block_rows):
            y = self.unit[start : start + self.block_rows] @ self.text.T
            rows = np.arange(len(y))
            first = y.argmax(axis=1)
            best = y[rows, first]
            y[rows, first] = -np.inf
            second = y.argmax(axis=1)
            found.append((first, second, best, y[rows, second]))
        return Winners(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def outputs(self, vector: np.ndarray) -> np.ndarray:
        """z/|z| . t of all images for a text vector [p], of any length; float32 [n]."""
        found: np.ndarray = self.unit @ vector.astype(np.float32)
        return found

    def lens(self, units: np.ndarray) -> np.ndarray:
        """B_j of some units: what one unit of activation adds to the projected embedding, float64 [u, p]."""
        v = self.inputs.units.directions[units].astype(np.float64)
        if self.head.normed:
            v = (v - v.mean(axis=1, keepdims=True)) * self.head.ln_weight
        found: np.ndarray = v @ self.head.proj
        return found

    def hits(self, row: int, scores: np.ndarray) -> np.ndarray:
        """Whether each image goes to its class if class `row` has these scores [n], others theirs; bool."""
        w = self.winners
        is_first = w.first == row
        other, rival = np.where(is_first, w.second, w.first), np.where(is_first, w.next, w.best)
        found: np.ndarray = np.where(scores > rival, row, other) == self.label
        return found

    def clipped(self, units: np.ndarray, caps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images with a unit above its cap, and their unit embeddings with these at their caps.

        units : int64 [u]. caps : [u], 0 removes. Returns places int64 [q] and float32 [q, p].
        """
        active = self.codes[:, units].tocsr()
        over = active.copy()
        over.data = (active.data - caps[active.indices]).clip(min=0).astype(np.float32)
        places = np.flatnonzero(np.asarray(over.sum(axis=1)).ravel() > 0)
        moved = over[places] @ self.inputs.units.directions[units]
        return places, self.moved(places, -moved)

    def moved(self, places: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Unit embeddings float32 [q, p] of images whose site vectors change by [q, d]."""
        return _unit(project(self.x[places].astype(np.float32) + change, self.head))

    def without(self, units: np.ndarray, vector: np.ndarray, caps: np.ndarray | None = None) -> np.ndarray:
        """Outputs [n] for a text vector [p] with units removed, or clipped at caps."""
        scores = self.outputs(vector)
        places, unit = self.clipped(units, np.zeros(len(units)) if caps is None else caps)
        scores[places] = unit @ vector.astype(np.float32)
        return scores


def _unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found
