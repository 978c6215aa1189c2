"""The worlds that can be drawn, behind one small protocol.

A world makes two things: a captioned pool in memory, which a CLIP learns, and labelled pictures, which it
is examined on. Adding a world: a class with these methods, and an entry in `choose`.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec
from reliance.base.errors import RelianceError
from reliance.planted import captions as sentences
from reliance.planted import lesion_pixels, lesions, render, scenes
from reliance.planted import world as objects
from reliance.planted.table import TRUTH, truth_rows
from reliance.planted.world import CLASSES, Plant


class Labelled(NamedTuple):
    """The labelled pictures of one split."""

    pixels: np.ndarray  # uint8 [n, 3, 48, 48]
    truth: pd.DataFrame  # a row each, in the order of the index; columns of the world's truth table


class World(Protocol):
    """What the stages `render_planted` and `train_clip` ask of a world."""

    @property
    def truth(self) -> TableSpec:
        """The truth table: TRUTH, perhaps with more columns."""

    @property
    def labelled_as(self) -> dict[str, Any]:
        """What shapes the labelled pictures, for their identity."""

    @property
    def pooled_as(self) -> dict[str, Any]:
        """What shapes the captioned pool, for its identity."""

    def pool(self, seed: int, count: int, style: str) -> tuple[np.ndarray, list[str]]:
        """`count` pictures, uint8 [n, 3, 48, 48], and the caption of each."""

    def misfits(self, style: str) -> list[str]:
        """Captions that fit no picture, for a labeller to learn."""

    def labelled(self, seed: int, per_class: int, *, test: bool) -> Labelled:
        """`per_class` pictures of every class, class by class."""

    def names(self) -> list[tuple[str, str, str, str]]:
        """Folder, short name, full name and definition of every class."""

    def vocabulary(self) -> list[str]:
        """Names for latents: all that is ever drawn, in the words of the captions."""

    def plants(self) -> list[dict[str, str]]:
        """Planted failures: fields of `world.Plant`, and "class", the folder."""


class Objects:
    """Things on backgrounds with ambiguous names (`world`, `scenes`, `captions`, `render`)."""

    truth = TRUTH

    def __init__(self, classes: int) -> None:
        self.labelled_as = self.pooled_as = {"classes": classes}  # the first world goes without a name
        self.world = objects.build(classes)
        self.bank = render.make_bank(self.world)

    def pool(self, seed: int, count: int, style: str) -> tuple[np.ndarray, list[str]]:
        """See `World`."""
        rows = scenes.pool(self.world, seed, count)
        texts = sentences.write(self.world, rows, seed, style)
        return render.render(self.bank, rows, seed, scenes.POOL), texts

    def misfits(self, style: str) -> list[str]:
        """See `World`."""
        return objects.unwritten(self.world) if style == "plain" else []

    def labelled(self, seed: int, per_class: int, *, test: bool) -> Labelled:
        """See `World`."""
        rows = scenes.labelled(self.world, seed, per_class, test=test)
        pixels = render.render(self.bank, rows, seed, scenes.TEST if test else scenes.TRAIN)
        return Labelled(pixels, truth_rows(self.world, rows, "test" if test else "train"))

    def names(self) -> list[tuple[str, str, str, str]]:
        """See `World`."""
        things = enumerate(self.world.things)
        return [(objects.folder(self.world, i), t.name, t.full_name, t.label) for i, t in things]

    def vocabulary(self) -> list[str]:
        """See `World`."""
        return objects.vocabulary(self.world)

    def plants(self) -> list[dict[str, str]]:
        """See `World`."""
        folders = {thing.name: objects.folder(self.world, i) for i, thing in enumerate(self.world.things)}
        return [{**plant._asdict(), "class": folders[plant.thing]} for plant in self.world.plants]


class Lesions:
    """Melanomas and naevi on skin that can be red (`lesions`, `lesion_pixels`).

    red, shortcut : see `lesions.labelled`. The shortcut is in the labelled data only, as an artefact of the
    naevi; without it nothing is planted.
    """

    truth = lesions.TRUTH

    def __init__(self, red: float, shortcut: float) -> None:
        self.red, self.shortcut = red, shortcut
        self.pooled_as: dict[str, Any] = {"world": "lesions"}
        self.labelled_as: dict[str, Any] = {"world": "lesions", "red": red, "shortcut": shortcut}
        self.bank = lesion_pixels.make_bank()

    def pool(self, seed: int, count: int, style: str) -> tuple[np.ndarray, list[str]]:
        """See `World`."""
        rows = lesions.pool(seed, count)
        return lesion_pixels.render(self.bank, rows, seed, lesions.POOL), lesions.captions(rows, seed)

    def misfits(self, style: str) -> list[str]:
        """See `World`."""
        return []

    def labelled(self, seed: int, per_class: int, *, test: bool) -> Labelled:
        """See `World`."""
        rows = lesions.labelled(seed, per_class, test=test, red=self.red, shortcut=self.shortcut)
        pixels = lesion_pixels.render(self.bank, rows, seed, lesions.TEST if test else lesions.TRAIN)
        return Labelled(pixels, lesions.truth_rows(rows, "test" if test else "train", self.plants()))

    def names(self) -> list[tuple[str, str, str, str]]:
        """See `World`."""
        return [(lesions.folder(i), *row) for i, row in enumerate(lesions.NAMES)]

    def vocabulary(self) -> list[str]:
        """See `World`."""
        return lesions.vocabulary()

    def plants(self) -> list[dict[str, str]]:
        """See `World`."""
        plant = Plant("artefact-naevus", "artefact", "naevus", "background", lesions.RED)
        return [{**plant._asdict(), "class": lesions.folder(1)}] if self.shortcut else []


def choose(world: str, *, classes: int = CLASSES, red: float = 0.0, shortcut: float = 0.0) -> World:
    """The world of a name; `classes` shapes "objects", `red` and `shortcut` shape "lesions".

    Raises RelianceError for a name that no world has.
    """
    if world == "objects":
        return Objects(classes)
    if world == "lesions":
        return Lesions(red, shortcut)
    raise RelianceError(
        "world",
        "a planted data set draws a world that is known",
        found=world,
        allowed="objects, lesions",
        next_step="correct `planted.world` of the data set in the config",
    )
