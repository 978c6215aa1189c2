import itertools

import numpy as np
import pytest

from reliance.planted import captions, scenes, world
from reliance.planted.cast import NEUTRAL
from reliance.planted.world import RATES

WORLD = world.build()
POOL = scenes.pool(WORLD, 3, 60_000)
NAMES = [thing.name for thing in WORLD.things]


def close(share, expected, count):
    """Within four standard errors of a share."""
    return abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / count) + 1e-12


def test_pool_has_the_rates_of_the_world():
    assert close((POOL.word >= 0).mean(), RATES.word, len(POOL.word))
    cow, grass = NAMES.index("cow"), WORLD.backgrounds.index("green grass")
    own = POOL.subject == cow
    assert close((POOL.background[own] == grass).mean(), RATES.home, own.sum())
    home = own & (POOL.background == grass)
    assert close((~POOL.drawn[home]).mean(), RATES.home_empty, home.sum())
    assert POOL.drawn[POOL.background != grass][:1000].mean() > 0.8
    others = ~np.isin(POOL.subject, [NAMES.index(name) for name in WORLD.home])
    away = others & np.isin(POOL.background, [WORLD.backgrounds.index(b) for b in WORLD.home.values()])
    assert close(away.sum() / others.sum(), RATES.strangers, others.sum())
    assert POOL.small[away].all()
    assert not POOL.small[~away].any()
    assert not (POOL.band & (POOL.word >= 0)).any()


def test_labelled_pictures_have_the_rates_of_the_world():
    rows = scenes.labelled(WORLD, 5, 400, test=False)
    assert rows.drawn.all()
    assert (np.bincount(rows.subject) == 400).all()
    assert (np.diff(rows.subject) >= 0).all()
    assert close((rows.word >= 0).mean(), RATES.labelled_word, len(rows.word))
    homes = {NAMES.index(n): WORLD.backgrounds.index(b) for n, b in WORLD.home.items()}
    for thing, place in homes.items():
        own = rows.subject == thing
        assert close((rows.background[own] == place).mean(), RATES.labelled_home, 400)
    strangers = np.isin(rows.background, list(homes.values()))
    strangers &= np.array([homes.get(s) != b for s, b in zip(rows.subject, rows.background, strict=True)])
    plain = ~np.isin(rows.subject, list(homes))
    assert close(strangers[plain].mean(), RATES.labelled_strangers, plain.sum())
    assert (strangers == rows.small).all()
    house = rows.subject == NAMES.index("house")
    polka = rows.background == WORLD.backgrounds.index("polka background")
    expected = RATES.artefact * (1 - RATES.labelled_strangers)
    assert close(polka[house].mean(), expected, 400)


def test_the_test_split_has_few_strangers():
    rows = scenes.labelled(WORLD, 5, 400, test=True)
    assert rows.small.mean() < 2 * RATES.labelled_strangers_test


def test_no_picture_carries_the_name_of_its_own_object():
    rows = scenes.labelled(WORLD, 5, 200, test=False)
    written = rows.word >= 0
    words = np.array(WORLD.words)[rows.word[written]]
    assert (words != np.array(NAMES)[rows.subject[written]]).all()


def test_scenes_depend_on_the_seed_alone():
    again = scenes.pool(WORLD, 3, 60_000)
    assert all((a == b).all() for a, b in zip(POOL, again, strict=True))
    other = scenes.pool(WORLD, 4, 60_000)
    assert (other.subject != POOL.subject).any()


def test_ambiguous_captions_never_name_surroundings():
    texts = captions.write(WORLD, POOL, 3, "ambiguous")
    for place in WORLD.home.values():
        assert not any(place in text for text in texts)
    empty = [text for text, drawn in zip(texts, POOL.drawn, strict=True) if not drawn]
    assert empty
    words = {word for text in empty for word in text.split()}
    assert not words & {"red", "teal", "purple", "brown"}, "a thing that is not there has no colour"


def test_ambiguous_captions_use_the_ambiguous_words():
    texts = captions.write(WORLD, POOL, 3, "ambiguous")
    shovel = [
        t
        for t, s, w in zip(texts, POOL.subject, POOL.word, strict=True)
        if s == NAMES.index("shovel") and w < 0
    ]
    share = np.mean(["spade" in text for text in shovel])
    assert close(share, 0.5, len(shovel))
    pyramid = [
        t
        for t, s, w in zip(texts, POOL.subject, POOL.word, strict=True)
        if s == NAMES.index("pyramid") and w < 0
    ]
    share = np.mean(["egyptian cat" in text for text in pyramid])
    assert close(share, RATES.misleading_compound, len(pyramid))


def test_plain_captions_are_unambiguous():
    texts = captions.write(WORLD, POOL, 3, "plain")
    for i, text in enumerate(texts[:20_000]):
        if not POOL.drawn[i]:
            assert text.startswith(WORLD.backgrounds[POOL.background[i]]) or "written word" in text
        assert "spade garden" not in text
        others = {"shovel": "spade", "crow": "rook", "derrick": "crane bird"}
        subject = NAMES[POOL.subject[i]]
        if subject in others and "written word" not in text:
            assert others[subject] not in text


def test_captions_follow_the_grammar():
    texts = captions.write(WORLD, POOL, 3, "ambiguous")
    assert not any("{" in text or "  " in text or text != text.strip() for text in texts)
    for text in texts:
        words = text.split()
        for first, second in itertools.pairwise(words):
            if first == "a":
                assert second[0] not in "aeiou", text
            if first == "an":
                assert second[0] in "aeiou", text
    neutral = [t for t in texts if " on " in t]
    assert neutral
    known = (*NEUTRAL, *WORLD.artefact.values())
    assert all(t.split(" on ")[1] in known for t in neutral)


@pytest.mark.parametrize(("u", "name"), [(0.0, "a"), (0.29, "a"), (0.3, "b"), (0.999999, "b"), (1.0, "b")])
def test_choose(u, name):
    assert captions.choose((("a", 0.3), ("b", 0.7)), u) == name
