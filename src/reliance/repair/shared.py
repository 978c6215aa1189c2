"""What a class itself relies on, seen in images of others: expected reliance, in the wrong place.

The tests of `mining` ask where a unit matters more than the class expects. An image of another class that
shows what the class's own images show passes them, and scores like the class all the same: a look-alike, or a
background that is usual for the class. Among the n images above the line that no case explains, a unit or
family is such a feature if it fires on more of them than chance has it,

    P(X >= x) (m + F) <= alpha,   X ~ Hypergeometric(images of the view, those it fires on, n)

with m units and F families; and at least `least` of those it fires on fall to the line once it is removed,
exactly. Taken is the one that explains most, then the next among the images that are left.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array, hstack
from scipy.stats import hypergeom

from reliance.repair.scene import Scene

ALPHA, MOST = 0.01, 4  # of all units and families together, for a class; features of a class at most
LOOKED_AT = 40  # candidates that are removed: those that fire on most images


class Feature(NamedTuple):
    """What images of other classes share with the class."""

    component: int  # from m on a family
    places: np.ndarray  # of the images that it explains, int64
    p: float  # times units and families
    own: float  # share of the class's own images that it fires on
    usual: float  # of all images of the view
    by_chance: float  # of the explained images, those that fall as low without another active unit, at random


class Features:
    """Units and families of a scene. members : units of each family, int64."""

    def __init__(self, scene: Scene, members: Sequence[np.ndarray]) -> None:
        self.scene, self.members, self.m = scene, members, scene.inputs.units.m

    def units(self, component: int) -> np.ndarray:
        """The units of a component."""
        if component < self.m:
            return np.array([component], np.int64)
        return self.members[component - self.m]

    @cached_property
    def fires(self) -> csr_array:
        """Whether each image [n] fires each unit or family [m + F]: 1.0 or 0."""
        single = (self.scene.codes != 0).astype(np.float32)
        sizes = [len(units) for units in self.members]
        units = np.concatenate([np.zeros(0, np.int64), *self.members])
        family = np.repeat(np.arange(len(sizes)), sizes)
        of = csc_array((np.ones(len(units), np.float32), (units, family)), shape=(self.m, len(sizes)))
        return hstack([single, ((single @ of) != 0).astype(np.float32)]).tocsr()

    @cached_property
    def counts(self) -> np.ndarray:
        """Images that each fires on, int64 [m + F]."""
        return np.asarray(self.fires.sum(axis=0)).ravel().astype(np.int64)

    def without(self, places: np.ndarray, taken: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Outputs [q] of images without those of their active units that are taken, bool [q, k]."""
        values, indices = (part[places] for part in self.scene.active)
        gone = np.where(taken, values, 0)
        change = np.einsum("qk,qkd->qd", gone, self.scene.inputs.units.directions[indices])
        found: np.ndarray = self.scene.moved(places, -change) @ vector
        return found

    def of_class(self, row: int, left: np.ndarray, line: float, least: int) -> list[Feature]:
        """The features of class `row` that explain images at `left`, those that explain most first."""
        vector, found = self.scene.text[row].astype(np.float32), list[Feature]()
        own = self.fires[self.scene.label == row]
        while len(left) >= least and len(found) < MOST:
            best = self._best(vector, left, line, least)
            if best is None:
                return found
            component, places, p = best
            fires, usual = (float(part[:, [component]].mean()) for part in (own, self.fires))
            chance = self._chance(component, places, vector) <= line
            found.append(Feature(component, places, p, fires, usual, float(chance.mean())))
            left = np.setdiff1d(left, places)
        return found

    def _best(
        self, vector: np.ndarray, left: np.ndarray, line: float, least: int
    ) -> tuple[int, np.ndarray, float] | None:
        fires = self.fires[left].tocsc()
        seen = np.asarray(fires.sum(axis=0)).ravel().astype(np.int64)
        able = np.flatnonzero(seen >= least)
        p = hypergeom.sf(seen[able] - 1, self.fires.shape[0], self.counts[able], len(left)) * len(seen)
        able, p = able[p <= ALPHA], p[p <= ALPHA]
        best: tuple[int, np.ndarray, float] | None = None
        for i in np.argsort(-seen[able], kind="stable")[:LOOKED_AT]:
            component = int(able[i])
            on = left[fires[:, [component]].toarray().ravel() > 0]
            held = np.isin(self.scene.active[1][on], self.units(component))
            fallen = on[self.without(on, held, vector) <= line]
            if len(fallen) >= max(least, 0 if best is None else len(best[1]) + 1):
                best = component, fallen, float(p[i])
        return best

    def _chance(self, component: int, places: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Outputs [q] of images without as many other active units as those of the component."""
        values, indices = (part[places] for part in self.scene.active)
        return self.without(
            places, at_random(values, np.isin(indices, self.units(component)), component), vector
        )


def at_random(values: np.ndarray, held: np.ndarray, seed: int) -> np.ndarray:
    """Of each image's other active units, as many as are held, at random; bool [n, k].

    values : activations [n, k], 0 is inactive. held : bool [n, k].
    """
    held = held & (values != 0)
    keys = np.random.default_rng([seed, len(values)]).random(values.shape)
    keys[held | (values == 0)] = 2  # last, and never taken
    rank = np.argsort(np.argsort(keys, axis=1), axis=1)
    taken: np.ndarray = (rank < held.sum(axis=1)[:, None]) & (keys < 2)
    return taken
