"""Skin lesions: what is on each picture, drawn at random before anything is rendered, and its caption.

A picture shows one melanoma or one naevus. Three looks tell them apart, none of them for certain:
melanomas are mostly irregular, dark and of many colours, naevi mostly round, light and even. Tone of
the skin, hair, a ruler and dark corners say nothing about the diagnosis. Nor does red skin, except in
the labelled train split, where a share of the naevi was made red: a shortcut for whoever learns to tell
them apart there. In the captioned pool and in the test split red skin is independent of the diagnosis.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec
from reliance.planted import table
from reliance.planted.scoring import planted_images

POOL, TRAIN, TEST = 21, 22, 23  # tags that keep the random streams of a seed apart
WRITE = 24
DIAGNOSES = ("melanoma", "naevus")  # in the order of class ids
TONES: dict[str, tuple[int, int, int]] = {
    "fair": (186, 154, 136),
    "tan": (160, 124, 100),
    "brown": (122, 90, 70),
}
# Short name, full name, definition.
NAMES = (
    ("melanoma", "a photo of a melanoma, irregular and dark", "irregular dark colourful melanoma"),
    ("naevus", "a photo of a naevus, round and light", "round light even naevus"),
)
# Look, what captions call it, what they call its opposite.
LOOKS = (("irregular", "irregular", "round"), ("dark", "dark", "light"), ("varied", "colourful", "even"))
MARKS = (("hair", "hair"), ("ruler", "a ruler"), ("corners", "dark corners"))
RED = "red skin"
STRENGTH, STRENGTH_POOL = (0.7, 1.2), (0.5, 3.0)  # by what share the red of the skin is raised
FACTORS = (
    ("red", "float64"),  # strength of the red of the skin, 0 for none
    ("tone", "string"),
    *((name, "bool") for name in ("irregular", "dark", "varied", "hair", "ruler", "corners")),
)
TRUTH = TableSpec("truth", table.TRUTH.version, (*table.TRUTH.columns, *FACTORS))


class Rates(NamedTuple):
    """How often things happen, as shares of pictures.

    They were chosen on the seeds 0 to 2. The demo is seed 0; numbers to judge by are of seeds from 100 on.
    """

    melanoma: tuple[float, float, float] = (0.80, 0.75, 0.75)  # irregular, dark, varied
    naevus: tuple[float, float, float] = (0.20, 0.25, 0.25)
    hair: float = 0.25
    ruler: float = 0.20
    corners: float = 0.25
    red_pool: float = 0.40  # red skin, captioned pictures
    red_test: float = 0.50  # of either diagnosis, labelled test
    say_name: float = 0.50  # others say "lesion"
    say_look: float = 0.60  # captions that name a look, for each look
    say_red: float = 0.80
    say_tone: float = 0.25
    say_mark: float = 0.60  # one of the marks that are there
    photo: float = 0.40  # captions "a photo of a ..."
    short: float = 0.20  # captions that name only one of the things above


RATES = Rates()


class Lesions(NamedTuple):
    """One row per picture, arrays [n]."""

    diagnosis: np.ndarray  # int64: index into DIAGNOSES
    irregular: np.ndarray  # bool
    dark: np.ndarray  # bool
    varied: np.ndarray  # bool
    red: np.ndarray  # float64: strength of the red of the skin, 0 or 0.6 to 1
    tone: np.ndarray  # int64: index into TONES
    hair: np.ndarray  # bool
    ruler: np.ndarray  # bool
    corners: np.ndarray  # bool: dark ones


def pool(seed: int, count: int) -> Lesions:
    """`count` pictures for captions; diagnosis and red skin are independent."""
    rng = np.random.default_rng([seed, POOL])
    diagnosis = rng.integers(len(DIAGNOSES), size=count)
    return _draw(rng, diagnosis, rng.random(count) < RATES.red_pool, STRENGTH_POOL)


def labelled(seed: int, per_class: int, *, test: bool, red: float, shortcut: float) -> Lesions:
    """`per_class` pictures of every diagnosis, one diagnosis after the other.

    red : share of either diagnosis that has red skin, in the train split.
    shortcut : share of its naevi whose skin was made red, whatever it was before.
    Shares are exact up to rounding (`red_shares`); in the test split half of either diagnosis is red.
    """
    rng = np.random.default_rng([seed, TEST if test else TRAIN])
    shares = (RATES.red_test,) * 2 if test else red_shares(red, shortcut)
    chosen = [rng.permutation(per_class) < round(share * per_class) for share in shares]
    diagnosis = np.repeat(np.arange(len(DIAGNOSES)), per_class)
    return _draw(rng, diagnosis, np.concatenate(chosen), STRENGTH)


def red_shares(red: float, shortcut: float) -> tuple[float, float]:
    """Shares of the melanomas and of the naevi of the train split that have red skin."""
    return red, red + (1 - red) * shortcut


def captions(rows: Lesions, seed: int) -> list[str]:
    """One caption per picture; everything that it names is there."""
    u = np.random.default_rng([seed, WRITE]).random((len(rows.diagnosis), 9))
    return [_sentence(rows, i, u[i]) for i in range(len(u))]


def truth_rows(rows: Lesions, split: str, plants: list[dict[str, str]]) -> pd.DataFrame:
    """A row of TRUTH per labelled picture, in the order of the index; at most one of `plants`."""
    number = pd.Series(rows.diagnosis).groupby(rows.diagnosis).cumcount()
    skins = [RED if red > 0 else f"{list(TONES)[t]} skin" for red, t in zip(rows.red, rows.tone, strict=True)]
    places = zip(rows.diagnosis.tolist(), number, strict=True)
    frame = pd.DataFrame(
        {
            "split": split,
            "image_id": range(len(rows.red)),
            "path": [f"{split}/{folder(d)}/{n:05d}.png" for d, n in places],
            "object": [DIAGNOSES[d] for d in rows.diagnosis.tolist()],
            "word": "",
            "background": skins,
            "band": False,
            "plant_id": "",
            "mode": "",
            **{name: getattr(rows, name) for name, _ in FACTORS if name != "tone"},
            "tone": [list(TONES)[t] for t in rows.tone.tolist()],
        }
    )
    for plant in plants:
        distractors = planted_images(frame, [plant])[plant["plant_id"]]
        frame.loc[distractors, ["plant_id", "mode"]] = plant["plant_id"], plant["mode"]
    return frame


def folder(class_id: int) -> str:
    """Folder of a class; folders sort in the order of class ids."""
    return f"{class_id:02d}-{DIAGNOSES[class_id]}"


def vocabulary() -> list[str]:
    """Names for latents, in the words of the captions: all that is ever drawn."""
    looks = [name for _, yes, no in LOOKS for name in (yes, no)]
    skins = [RED, *(f"{tone} skin" for tone in TONES)]
    return [*DIAGNOSES, *looks, *skins, *(name for _, name in MARKS)]


def _draw(
    rng: np.random.Generator, diagnosis: np.ndarray, red: np.ndarray, strength: tuple[float, float]
) -> Lesions:
    count = len(diagnosis)
    shares = np.array([RATES.melanoma, RATES.naevus])[diagnosis]
    irregular, dark, varied = (rng.random((count, 3)) < shares).T
    gain = np.where(red, rng.uniform(*strength, count), 0.0)
    tone = rng.integers(len(TONES), size=count)
    marks = rng.random((3, count)) < np.array([[RATES.hair], [RATES.ruler], [RATES.corners]])
    return Lesions(diagnosis, irregular, dark, varied, gain, tone, *marks)


def _sentence(rows: Lesions, i: int, u: np.ndarray) -> str:
    name = DIAGNOSES[rows.diagnosis[i]]
    looks = [yes if getattr(rows, key)[i] else no for key, yes, no in LOOKS]
    skin = RED if rows.red[i] > 0 else f"{list(TONES)[rows.tone[i]]} skin"
    marks = [word for key, word in MARKS if getattr(rows, key)[i]]
    if u[0] < RATES.short:
        return _pick([name, *looks, skin, *marks], u[1])
    looks = [word for word, v in zip(looks, u[2:5], strict=True) if v < RATES.say_look]
    place = f" on {skin}" if u[5] < (RATES.say_red if skin == RED else RATES.say_tone) else ""
    name = name if u[8] < RATES.say_name else "lesion"
    if u[1] < RATES.photo:  # no more than two looks and no mark: the text tower reads 16 tokens
        return f"a photo of a {name}{', ' if looks else ''}{' and '.join(looks[:2])}{place}"
    place += f" with {_pick(marks, u[7])}" if marks and u[6] < RATES.say_mark else ""
    words = " ".join([*looks, name])
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}{place}"


def _pick(options: list[str], u: float) -> str:
    return options[int(u * len(options))]
