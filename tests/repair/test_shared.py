"""Features that images of other classes share with a class, against removal and counting by hand."""

from math import comb

import numpy as np
import pytest

from reliance.attribution.inputs import open_inputs
from reliance.repair.scene import Scene
from reliance.repair.shared import ALPHA, MOST, Features, at_random
from repair.made import OTHER, PER_LATENT, SPLIT, SplitConcept

FAMILIES = [SPLIT[:3], SPLIT[3:], OTHER[:3], OTHER[3:], SPLIT, OTHER]
LEAST = 10
NONE = np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return SplitConcept(tmp_path_factory.mktemp("made"), typical=True)


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
    return features.of_class(0, NONE, left, line, LEAST), left, line


def test_a_concept_that_is_spread_over_latents_is_found_as_one_family(toy, features, found):
    first, *_ = found[0]
    assert first.component == features.m + 4
    assert len(first.places) > 3 * PER_LATENT  # no single one of them can
    assert np.isin(features.scene.ids[first.places], toy.shows).all()
    fires = np.isin(features.scene.active[1], SPLIT) & (features.scene.active[0] != 0)
    own = features.scene.label == 0
    assert first.usual == pytest.approx(fires.any(axis=1).mean())
    assert first.own == pytest.approx(fires[own].any(axis=1).mean()) and first.own > 0.9


def test_what_the_class_does_not_show_is_no_feature_that_it_shares(tmp_path):
    toy = SplitConcept(tmp_path)
    features = Features(Scene(open_inputs(toy.files(), "train"), 1, block_rows=50), FAMILIES)
    y, shows = features.scene.outputs(features.scene.text[0]), features.scene.places(toy.shows)
    line = float(np.sort(y[shows])[2])
    assert features.of_class(0, NONE, shows[y[shows] > line], line, LEAST) == []


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
    others = np.flatnonzero(features.scene.label != 0)
    fires = features.fires[:, [first.component]].toarray().ravel() > 0
    n, size, marked, seen = len(others), len(left), int(fires[others].sum()), int(fires[left].sum())
    exact = sum(comb(marked, x) * comb(n - marked, size - x) for x in range(seen, min(marked, size) + 1))
    tests = len(features.counts) * MOST
    assert first.p == pytest.approx(exact / comb(n, size) * tests, rel=1e-6)
    assert first.p <= ALPHA


def test_units_are_removed_from_some_images_as_from_all(features):
    vector, places = features.scene.text[1].astype(np.float32), np.array([3, 40, 77])
    whole = features.scene.without(SPLIT, vector)
    np.testing.assert_allclose(features.without(places, SPLIT, vector), whole[places], atol=1e-6)


def test_a_family_fires_where_one_of_its_units_does(features):
    single = (features.scene.codes != 0).toarray()
    for number, units in enumerate(FAMILIES):
        column = features.fires[:, [features.m + number]].toarray().ravel()
        assert (column == single[:, units].any(axis=1)).all()


def test_nothing_explains_too_few_images_or_none(features, found):
    left, line = found[1], found[2]
    assert features.of_class(0, NONE, left[: LEAST - 1], line, LEAST) == []
    assert features.of_class(0, NONE, left, -1.0, LEAST) == []


def test_other_units_are_drawn_as_many_as_are_held(features):
    values, indices = features.scene.active
    held = np.isin(indices, SPLIT)
    taken = at_random(values, held, 3)
    active = values != 0
    assert not (taken & (held | ~active)).any()
    others, wanted = (active & ~held).sum(axis=1), (active & held).sum(axis=1)
    assert (taken.sum(axis=1) == np.minimum(others, wanted)).all()
