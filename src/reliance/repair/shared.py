"""What a class itself relies on, seen in images of others: expected reliance, in the wrong place.

The tests of `mining` ask where a unit matters more than the class expects. An image of another class that
shows what the class's own images show passes them, and scores like the class all the same: a look-alike, or a
background that is usual for the class. Of the N images of other classes that no case explains, n lie above
the line. A unit or family is such a feature if it fires on more of these n, and on more of the class's own
images among all, than chance has it,

    P(X >= x) (m + F) r <= alpha,   X ~ Hypergeometric

with m units, F families and at most r features of a class; and if at least `least` of the n images that it
fires on fall to the line once it is removed, exactly. Taken is the one that explains most, then the next
among the images that are left. As images above the line are those where something raises y, that the class's
own images have it is what tells its features from anything else that does.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array, hstack
from scipy.stats import hypergeom

from reliance.repair.scene import Scene

ALPHA, MOST = 0.01, 4  # for a class; features of a class at most
LOOKED_AT = 40  # candidates that are removed: those that fire on most images


class Feature(NamedTuple):
    """What images of other classes share with the class."""

    component: int  # from m on a family
    places: np.ndarray  # of the images that it explains, int64
    p: float  # of firing on so many, times units, families and features of a class
    own: float  # share of the class's own images that it fires on
    usual: float  # of all images of the view
    by_chance: float  # of these images, those that fall as low without another active unit instead


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

    def without(self, places: np.ndarray, units: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Outputs [q] of images without some units."""
        change = self.scene.codes[:, units].tocsr()[places] @ self.scene.inputs.units.directions[units]
        found: np.ndarray = self.scene.moved(places, -change) @ vector
        return found

    def of_class(
        self, row: int, explained: np.ndarray, left: np.ndarray, line: float, least: int
    ) -> list[Feature]:
        """The features of class `row` that explain images at `left`, those that explain most first.

        explained : places that cases explain. left : those above `line` that they do not.
        """
        if len(left) < least:
            return []
        vector, found = self.scene.text[row].astype(np.float32), list[Feature]()
        own = self.scene.label == row
        drawn = ~own
        drawn[explained] = False
        own_fires, others = (np.asarray(self.fires[part].sum(axis=0)).ravel() for part in (own, drawn))
        n, tests = int(own.sum()), self.fires.shape[1] * MOST
        typical = hypergeom.sf(own_fires - 1, len(own), self.counts, n) * tests <= ALPHA
        while len(left) >= least and len(found) < MOST:
            seen = np.asarray(self.fires[left].sum(axis=0)).ravel()
            able = np.flatnonzero((seen >= least) & typical)
            p = hypergeom.sf(seen[able] - 1, int(drawn.sum()), others[able], len(left)) * tests
            best = self._best(able[p <= ALPHA], seen, vector, left, line, least)
            if best is None:
                return found
            component, places = best
            fires, usual = own_fires[component] / n, self.counts[component] / len(own)
            chance = self._other(component, places, vector) <= line
            value = float(p[able == component][0])
            found.append(Feature(component, places, value, fires, usual, float(chance.mean())))
            left = np.setdiff1d(left, places)
        return found

    def _best(
        self,
        able: np.ndarray,
        seen: np.ndarray,
        vector: np.ndarray,
        left: np.ndarray,
        line: float,
        least: int,
    ) -> tuple[int, np.ndarray] | None:
        """The component whose removal takes most images at `left` to the line, and these images."""
        fires, best = self.fires[left].tocsc(), None
        for component in able[np.argsort(-seen[able], kind="stable")[:LOOKED_AT]].tolist():
            if best is not None and seen[component] <= len(best[1]):
                break  # the others fire on fewer
            on = left[fires[:, [component]].toarray().ravel() > 0]
            fallen = on[self.without(on, self.units(component), vector) <= line]
            if len(fallen) >= max(least, 0 if best is None else len(best[1]) + 1):
                best = component, fallen
        return best

    def _other(self, component: int, places: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Outputs [q] of images without as many other active units as those of the component."""
        values, indices = (part[places] for part in self.scene.active)
        taken = at_random(values, np.isin(indices, self.units(component)), component)
        change = np.einsum(
            "qk,qkd->qd", np.where(taken, values, 0), self.scene.inputs.units.directions[indices]
        )
        found: np.ndarray = self.scene.moved(places, -change) @ vector
        return found


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
