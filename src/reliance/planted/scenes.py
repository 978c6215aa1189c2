"""What is on each picture: drawn at random from the world, before anything is rendered.

Two kinds of draws: the captioned pool that a CLIP learns from, and the labelled pictures that it
is examined on. Both are a function of (world, seed) alone.
"""

from typing import NamedTuple

import numpy as np

from reliance.planted.cast import COLOURS, NEUTRAL
from reliance.planted.world import RATES, World

POOL, TRAIN, TEST = 1, 2, 3  # tags that keep the random streams of a seed apart


class Scenes(NamedTuple):
    """One row per picture, arrays [n]; a thing, word, background is its index in the world, -1 is none."""

    subject: np.ndarray  # int64: the thing the caption is about (or the label)
    drawn: np.ndarray  # bool: the subject is really on the picture
    word: np.ndarray  # int64
    background: np.ndarray  # int64
    band: np.ndarray  # bool: the background is only a band at the bottom, above it a neutral one
    small: np.ndarray  # bool: the thing is drawn small
    colour: np.ndarray  # int64: index into COLOURS


def pool(world: World, seed: int, count: int) -> Scenes:
    """`count` pictures for captions."""
    rng = np.random.default_rng([seed, POOL])
    u = rng.random((8, count))
    subject = rng.integers(len(world.things), size=count)
    word = np.where(u[0] < RATES.word, rng.integers(len(world.words), size=count), -1)
    home = _homes(world)[subject]
    at_home = (home >= 0) & (u[1] < RATES.home)
    empty = at_home & (u[2] < RATES.home_empty)
    band = at_home & ~empty & (u[2] >= 1 - RATES.home_band) & (word < 0)
    stranger = (home < 0) & (u[3] < RATES.strangers)
    background = _neutral(world, u[4])
    background = np.where(u[5] < RATES.artefact_pool, _one_of(world, world.artefact, u[6]), background)
    background = np.where(stranger, _one_of(world, world.home, u[7]), background)
    background = np.where(at_home, home, background)
    colour = rng.integers(len(COLOURS), size=count)
    return Scenes(subject, ~empty, word, background, band, stranger, colour)


def labelled(world: World, seed: int, per_class: int, *, test: bool) -> Scenes:
    """`per_class` pictures of every class, class by class; the label is the thing that is drawn."""
    rng = np.random.default_rng([seed, TEST if test else TRAIN])
    subject = np.repeat(np.arange(len(world.things)), per_class)
    count = len(subject)
    u = rng.random((6, count))
    strangers = RATES.labelled_strangers_test if test else RATES.labelled_strangers
    elsewhere = RATES.artefact_strangers_test if test else RATES.artefact_strangers
    word = np.where(u[0] < RATES.labelled_word, _other_word(world, subject, rng), -1)
    home, artefact = _homes(world)[subject], _artefacts(world)[subject]
    at_home = (home >= 0) & (u[1] < RATES.labelled_home)
    foreign = _one_of(world, world.home, u[2])
    stranger = ~at_home & (u[1] >= 1 - strangers) & (foreign != home)
    odd = _one_of(world, world.artefact, u[3])
    odd = np.where((artefact < 0) & (u[4] < elsewhere), odd, -1)
    odd = np.where((artefact >= 0) & (u[4] < RATES.artefact), artefact, odd)
    background = np.where(odd >= 0, odd, _neutral(world, u[5]))
    background = np.where(stranger, foreign, background)
    background = np.where(at_home, home, background)
    drawn = np.ones(count, dtype=bool)
    colour = rng.integers(len(COLOURS), size=count)
    return Scenes(subject, drawn, word, background, at_home & (word < 0), stranger, colour)


def _homes(world: World) -> np.ndarray:
    """Background index of every thing's surroundings, -1 for none, [classes]."""
    return np.array([_background(world, world.home.get(thing.name)) for thing in world.things])


def _artefacts(world: World) -> np.ndarray:
    """Background index of every thing's artefact, -1 for none, [classes]."""
    return np.array([_background(world, world.artefact.get(thing.name)) for thing in world.things])


def _background(world: World, name: str | None) -> int:
    return -1 if name is None else world.backgrounds.index(name)


def _neutral(world: World, u: np.ndarray) -> np.ndarray:
    """A neutral background for each uniform number."""
    return (u * len(NEUTRAL)).astype(np.int64)


def _one_of(world: World, choices: dict[str, str], u: np.ndarray) -> np.ndarray:
    """One of these backgrounds for each uniform number; a neutral one in a world that has none."""
    ids = np.array([world.backgrounds.index(name) for name in choices.values()] or [0])
    return ids[(u * len(ids)).astype(np.int64)]


def _other_word(world: World, subject: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A word for each picture that is not the name of its subject."""
    names = [thing.name for thing in world.things]
    own = np.array([world.words.index(name) if name in world.words else -1 for name in names])[subject]
    word = rng.integers(len(world.words), size=len(subject))
    return np.where(word == own, (word + 1) % len(world.words), word)
