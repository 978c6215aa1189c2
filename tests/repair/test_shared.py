"""Features that images of other classes share with a class, against removal and counting by hand."""

from math import comb

import numpy as np
import pytest

from reliance.attribution.inputs import open_inputs
from reliance.repair.scene import Scene
from reliance.repair.shared import ALPHA, Features, at_random
from repair.made import OTHER, PER_LATENT, SPLIT, SplitConcept

FAMILIES = [SPLIT[:3], SPLIT[3:], OTHER[:3], OTHER[3:], SPLIT, OTHER]
LEAST = 10


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return SplitConcept(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def features(toy):
    return Features(Scene(open_inputs(toy.files(), "train"), 1, block_rows=50), FAMILIES)


@pytest.fixture(scope="module")
def found(toy, features):
    """What explains the images that show the concept and score like the first class, these, and the line."""
    scene = features.scene
    y, shows = scene.outputs(scene.text[0]), scene.places(toy.shows)
    line = float(np.sort(y[shows])[2])
    left = shows[y[shows] > line]
    return features.of_class(0, left, line, LEAST), left, line


def test_a_concept_that_is_spread_over_latents_is_found_as_one_family(toy, features, found):
    first, *_ = found[0]
    assert first.component == features.m + 4
    assert len(first.places) > 3 * PER_LATENT  # no single one of them can
    assert np.isin(features.scene.ids[first.places], toy.shows).all()
    assert first.usual == pytest.approx(len(toy.shows) / len(features.scene.ids))
    assert first.own == 0 and first.by_chance < 0.2


def test_images_that_are_explained_fall_to_the_line_and_are_explained_once(features, found):
    named, left, line = found
    scene = features.scene
    every = np.concatenate([feature.places for feature in named])
    assert len(np.unique(every)) == len(every) and np.isin(every, left).all()
    for feature in named:
        y = scene.without(features.units(feature.component), scene.text[0].astype(np.float32))
        assert (y[feature.places] <= line).all()


def test_chance_is_that_of_drawing_images_without_putting_them_back(features, found):
    (first, *_), left, _ = found
    n, size = len(features.scene.ids), len(left)
    marked = int(features.counts[first.component])
    seen = int(features.fires[left][:, [first.component]].sum())
    exact = sum(comb(marked, x) * comb(n - marked, size - x) for x in range(seen, min(marked, size) + 1))
    assert first.p == pytest.approx(exact / comb(n, size) * len(features.counts), rel=1e-6)
    assert first.p <= ALPHA


def test_a_family_fires_where_one_of_its_units_does(features):
    single = (features.scene.codes != 0).toarray()
    for number, units in enumerate(FAMILIES):
        column = features.fires[:, [features.m + number]].toarray().ravel()
        assert (column == single[:, units].any(axis=1)).all()


def test_nothing_explains_too_few_images_or_none(features, found):
    left, line = found[1], found[2]
    assert features.of_class(0, left[: LEAST - 1], line, LEAST) == []
    assert features.of_class(0, left, -1.0, LEAST) == []


def test_other_units_are_drawn_as_many_as_are_held(features):
    values, indices = features.scene.active
    held = np.isin(indices, SPLIT)
    taken = at_random(values, held, 3)
    active = values != 0
    assert not (taken & (held | ~active)).any()
    others, wanted = (active & ~held).sum(axis=1), (active & held).sum(axis=1)
    assert (taken.sum(axis=1) == np.minimum(others, wanted)).all()
