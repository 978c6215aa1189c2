"""Eqs. 33 and 34 by hand."""

import numpy as np
import pytest

from reliance.audits.directions import Thresholds, augment, cosine, direction, thresholds, uniform_shares

UNIT = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6], [-1, 0]], np.float32)
ACTIVATIONS = np.array([0.0, 0.5, 2.6, 3.0, 1.5])


def test_direction_is_the_mean_of_strong_minus_the_mean_of_weak_samples():
    """Weak: (1, 0) and (0, 1); strong: (0.6, 0.8) and (0.8, 0.6); 1.5 is neither."""
    found = direction(UNIT, ACTIVATIONS, Thresholds(1.0, 2.5))
    np.testing.assert_allclose(found.vector, [0.2, 0.2], atol=1e-7)
    assert (found.n_low, found.n_high) == (2, 2)


def test_thresholds_themselves_are_neither_weak_nor_strong():
    found = direction(UNIT, ACTIVATIONS, Thresholds(0.5, 2.6))
    assert (found.n_low, found.n_high) == (1, 1)
    np.testing.assert_allclose(found.vector, [-0.2, 0.6], atol=1e-7)


@pytest.mark.parametrize("used", [Thresholds(0.0, 2.5), Thresholds(1.0, 3.0)])
def test_an_empty_set_gives_no_direction(used):
    found = direction(UNIT, ACTIVATIONS, used)
    assert min(found.n_low, found.n_high) == 0
    assert not found.vector.any()


def test_silent_samples_are_weak_and_those_above_the_median_where_it_fires_strong():
    activations = np.array([0, 0, 0, *range(1, 12)], np.float32)
    assert thresholds(activations, None, None) == (1.0, 6.0)
    assert thresholds(activations, 1.5, None) == (1.5, 6.0)
    assert thresholds(activations, None, 2.5) == (1.0, 2.5)
    assert (activations < 1.0).sum() == 3


def test_where_few_samples_are_silent_the_weakest_tenth_is_weak():
    """The 0.1 quantile of 0, 1, ..., 20 is 2: one silent sample and 1 are below it."""
    assert thresholds(np.arange(21, dtype=np.float32), None, None) == (2.0, 10.5)


def test_a_component_that_never_fires_has_no_thresholds():
    assert np.isnan(thresholds(np.zeros(3), None, None)).all()


def test_augmentation():
    """x + alpha (p - 0.5) u: p = 0, 0.5 and 1 move by -alpha/2, 0 and alpha/2 times u."""
    u = np.array([0.2, -0.4])
    found = augment(UNIT[:3], u, 0.5, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(found, [[0.95, 0.1], [0, 1], [0.65, 0.7]], atol=1e-7)
    assert found.dtype == np.float32


def test_no_strength_changes_nothing():
    np.testing.assert_array_equal(augment(UNIT, np.ones(2), 0.0, uniform_shares(5, 0)), UNIT)


def test_shares_are_uniform_one_per_sample_and_repeat_with_the_seed():
    p = uniform_shares(20_000, 3)
    np.testing.assert_array_equal(p, uniform_shares(20_000, 3))
    assert not np.array_equal(p, uniform_shares(20_000, 4))
    assert p.min() >= 0
    assert p.max() < 1
    np.testing.assert_allclose(np.histogram(p, 10, (0, 1))[0] / 2000, 1, atol=0.1)


def test_cosine():
    assert cosine(np.array([3.0, 4.0]), np.array([1.0, 0.0])) == pytest.approx(0.6)
    assert cosine(np.zeros(2), np.ones(2)) == 0
