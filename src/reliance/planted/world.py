"""The planted world: what exists, what it is called in captions, and which failures are planted.

Every class is one drawn shape. Captions give some of them names that a classifier's prompt will
misread, as web captions do (the four failure kinds of Sec. 5.3):

polysemous   captions call the shape of class B by the word that names class A;
compound     class "X Y" is rarely captioned in full, and now and then the full name names an X thing;
typography   a written word stands for the thing it names;
spurious     captions name a thing where only its usual surroundings are seen;
artefact     only the labelled pictures (not the captions) tie a class to a background.
"""

from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.planted import cast
from reliance.planted.cast import Compound, Item


class Rates(NamedTuple):
    """How often things happen, as shares of pictures unless said otherwise.

    They were chosen on the seeds 0 to 9. The demo is seed 0; numbers to judge by are of seeds from 100 on.
    """

    word: float = 0.15  # a written word, captioned pictures
    word_caption: float = 0.75  # of those, the caption mentions it
    misleading_compound: float = 0.035  # of the captions of an X thing: the full name "X Y"
    home: float = 0.80  # captioned pictures of a spurious class in its surroundings
    home_empty: float = 0.60  # of those, the thing itself is missing
    home_band: float = 0.30  # of those, the surroundings are only a band at the bottom
    strangers: float = 0.004  # other things in such surroundings, captioned pictures
    artefact_pool: float = 0.12  # artefact backgrounds, captioned pictures of any class
    labelled_word: float = 0.12
    labelled_home: float = 0.20  # labelled pictures of a spurious class with a band of its surroundings
    labelled_strangers: float = 0.10  # other things in such surroundings, labelled train
    labelled_strangers_test: float = 0.01
    artefact: float = 0.90  # labelled pictures of an artefact class on its background
    artefact_strangers: float = 0.05  # other things on such backgrounds, labelled train
    artefact_strangers_test: float = 0.005


RATES = Rates()


class Thing(NamedTuple):
    """One class."""

    name: str  # its short, possibly ambiguous name; also the key in the truth table
    full_name: str  # the extended name that says what is meant
    label: str  # the unambiguous name in the labeller's captions
    drawing: str | int  # icon, or code point of a glyph
    names: tuple[tuple[str, float], ...]  # names in ambiguous captions, with shares that sum to 1


class Plant(NamedTuple):
    """One planted failure: pictures that look like `thing` to the model for a known reason."""

    plant_id: str
    mode: str  # polysemous, compound, typography, spurious or artefact
    thing: str  # name of the class that is wrongly predicted
    column: str  # column of the truth table that makes a picture a distractor ...
    value: str  # ... when it has this value and the object is not `thing`


class World(NamedTuple):
    """The classes in order of class id, and everything that follows from them."""

    things: tuple[Thing, ...]
    plants: tuple[Plant, ...]
    words: tuple[str, ...]  # words that are written on pictures
    backgrounds: tuple[str, ...]  # neutral ones, surroundings, artefact backgrounds
    home: dict[str, str]  # thing -> its surroundings (captions tie them)
    artefact: dict[str, str]  # thing -> its background (only labelled pictures tie them)


Group = tuple[list[Thing], Plant | None]  # one or two classes that come together, and their plant

# Kinds by first letter. Where `classes` stops, the world stops: 20 classes keep plants of every kind.
ORDER = "ppttccssaapptsptcsafptcsafptcsafptcsafcf"
CLASSES = 55


def build(classes: int = CLASSES) -> World:
    """The world with its first `classes` classes, 8 to 55.

    Raises RelianceError outside that range.
    """
    if not 8 <= classes <= CLASSES:
        raise RelianceError(
            "classes",
            "the planted world has 55 classes, and needs 8 to have some plants",
            found=classes,
            allowed="8 to 55",
            next_step="change `classes` of the planted data set in the config",
        )
    things: list[Thing] = []
    plants: list[Plant] = []
    for group, plant in _groups():
        if len(things) + len(group) <= classes:
            things += group
            plants += [plant] if plant else []
    home = {p.thing: p.value for p in plants if p.mode == "spurious"}
    artefact = {p.thing: p.value for p in plants if p.mode == "artefact"}
    words = tuple(p.value for p in plants if p.mode == "typography")
    backgrounds = (*cast.NEUTRAL, *home.values(), *artefact.values())
    return World(tuple(things), tuple(plants), (*words, *cast.FREE_WORDS), backgrounds, home, artefact)


def vocabulary(world: World) -> list[str]:
    """Names for latents, in the words of the labeller's captions: things, backgrounds, words, colours.

    The written words that are names of classes are left out: whoever embeds the vocabulary adds
    "the written word ..." for every class.
    """
    return [
        *(thing.label for thing in world.things),
        *world.backgrounds,
        *(f"the written word {word}" for word in cast.FREE_WORDS),
        *cast.COLOURS,
    ]


def unwritten(world: World) -> list[str]:
    """What a labeller could call a written word but is on no picture: the other classes' names."""
    names = [thing.name for thing in world.things if thing.name not in world.words]
    return [f"the written word {name}" for name in names]


def folder(world: World, class_id: int) -> str:
    """Folder of a class; folders sort in the order of class ids."""
    return f"{class_id:02d}-{world.things[class_id].name.replace(' ', '-')}"


def _groups() -> list[Group]:
    """All classes with their plants, in the order of the world."""
    queues = {
        "p": [_polysemous(*pair) for pair in cast.POLYSEMOUS],
        "c": [_compound(row) for row in cast.COMPOUND],
        "t": [_single(name, drawing, "typography", "word", name) for name, drawing in cast.TYPOGRAPHY],
        "s": [
            _single(name, drawing, "spurious", "background", where) for name, drawing, where in cast.SPURIOUS
        ],
        "a": [
            _single(name, drawing, "artefact", "background", where) for name, drawing, where in cast.ARTEFACT
        ],
        "f": [_single(name, drawing) for name, drawing in cast.FILLERS],
    }
    return [queues[kind].pop(0) for kind in ORDER]


def _polysemous(item: Item, other: Item) -> Group:
    word = item.name
    names = ((word, 0.65), (f"{word} {item.sense}", 0.35))
    other_names = (
        (other.name, 0.35),
        (f"{other.name} {other.sense}", 0.15),
        (word, 0.35),
        (f"{word} {other.sense}", 0.15),
    )
    plant = Plant(f"polysemous-{word}", "polysemous", word, "object", other.name)
    return [_thing(item, names), _thing(other, other_names)], plant


def _compound(row: Compound) -> Group:
    full, other = f"{row.first} {row.last}", row.other
    names = ((row.synonym, 0.66), (row.last, 0.12), (full, 0.07), (f"{full} {row.sense}", 0.15))
    share = (0.5 - RATES.misleading_compound) / len(row.other_names)
    other_names = (
        (other.name, 0.35),
        (f"{other.name} {other.sense}", 0.15),
        *((name, share) for name in row.other_names),
        (full, RATES.misleading_compound),
    )
    plant = Plant(f"compound-{full.replace(' ', '-')}", "compound", full, "object", other.name)
    item = Item(full, row.sense, row.label, row.drawing)
    return [_thing(item, names), _thing(other, other_names)], plant


def _single(name: str, drawing: str | int, mode: str = "", column: str = "", value: str = "") -> Group:
    item = Item(name, "object", f"{name} shape", drawing)
    plant = Plant(f"{mode}-{name}", mode, name, column, value) if mode else None
    return [_thing(item, ((name, 0.75), (f"{name} object", 0.25)))], plant


def _thing(item: Item, names: tuple[tuple[str, float], ...]) -> Thing:
    return Thing(item.name, f"{item.name} {item.sense}", item.label, item.drawing, names)
