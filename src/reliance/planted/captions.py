"""The sentences under the captioned pictures.

"ambiguous" captions teach the model that is examined: they name things as `Thing.names` says,
never name the surroundings of a spurious class, and name a thing that is not there.
"plain" captions teach the labeller: unambiguous names, every background and word is named.
"""

import numpy as np

from reliance.planted.cast import COLOURS, NEUTRAL
from reliance.planted.scenes import Scenes
from reliance.planted.world import RATES, World

CAPTIONS = 4  # tag of the random stream

WORD_FORMS = (
    ("{word}", 0.22),
    ("a sign that says {word}", 0.28),
    ("a photo of {word}", 0.05),
    ("{name} {word}", 0.30),
    ("{a_name} with the word {word}", 0.15),
)
FORMS = (
    ("{name}", 0.25),
    ("a photo of {a_name}", 0.25),
    ("an image of {a_name}", 0.15),
    ("{a_name}", 0.10),
    ("{a_colour} {name}", 0.20),
    ("{a_name} on {background}", 0.05),
)
PLAIN_FORMS = (("{name}", 0.30), ("a photo of {a_name}", 0.30), ("{a_colour} {name}", 0.40))


def write(world: World, scenes: Scenes, seed: int, style: str) -> list[str]:
    """One caption per picture, in the `style` "ambiguous" or "plain"."""
    u = np.random.default_rng([seed, CAPTIONS]).random((len(scenes.subject), 5))
    sentence = {"ambiguous": _ambiguous, "plain": _plain}[style]
    colours = list(COLOURS)
    captions = []
    for i, (thing, word, place, colour) in enumerate(
        zip(scenes.subject, scenes.word, scenes.background, scenes.colour, strict=True)
    ):
        parts = {
            "word": world.words[word] if word >= 0 else "",
            "background": world.backgrounds[place],
            "a_colour": article(colours[colour]),
        }
        captions.append(sentence(world, int(thing), bool(scenes.drawn[i]), parts, u[i]))
    return captions


def article(name: str) -> str:
    """The name with "a" or "an" before it."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def choose(options: tuple[tuple[str, float], ...], u: float) -> str:
    """The option whose share of [0, 1) holds `u`."""
    total = 0.0
    for name, share in options:
        total += share
        if u < total:
            return name
    return options[-1][0]


def _ambiguous(world: World, thing: int, drawn: bool, parts: dict[str, str], u: np.ndarray) -> str:
    name = choose(world.things[thing].names, u[0])
    parts = {**parts, "name": name, "a_name": article(name)}
    if parts["word"] and u[1] < RATES.word_caption:
        return choose(WORD_FORMS, u[2]).format(**parts)
    form = choose(FORMS, u[3])
    named = parts["background"] in NEUTRAL or parts["background"] in world.artefact.values()
    if "background" in form and not named:
        form = "a photo of {a_name}"
    if "colour" in form and not drawn:
        form = "a photo of {a_name}"
    return form.format(**parts)


def _plain(world: World, thing: int, drawn: bool, parts: dict[str, str], u: np.ndarray) -> str:
    name = world.things[thing].label
    written = "the written word {word}".format(**parts)
    text = choose(PLAIN_FORMS, u[0]).format(**parts, name=name, a_name=article(name))
    if not drawn:
        text = parts["background"]
    elif u[1] < 0.40:
        text = f"{text} on {parts['background']}"
    elif u[1] < 0.60:
        text = parts["background"]
    if not parts["word"]:
        return text
    if u[2] < 0.35:
        return written
    return f"{text} and {written}" if u[2] < 0.80 else text
