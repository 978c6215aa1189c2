from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, false_discovery_control

from reliance.failures import discovery
from reliance.failures.discovery import (
    Rates,
    expected_share,
    false_discovery_rate,
    pooled_rates,
    predictive_tail,
)

from . import slow

N = 256  # images of a class of ImageNet in the view


def null(rates, n=N, trials=2500, seed=0):
    """(p, q) of pairs with nothing planted: own and other images exceed the line at the same rate."""
    rng = np.random.default_rng(seed)
    own, flagged = rng.binomial(n, rates), rng.binomial(trials, rates)
    n, trials = np.full(len(rates), n), np.full(len(rates), trials)
    p = predictive_tail(pooled_rates(own, n), flagged, trials, own, n)
    return p, false_discovery_rate(p, len(p))


def worlds(pairs):
    """Rates of pairs in worlds that do not look like the model's."""
    rng = np.random.default_rng(1)
    few = rng.random(pairs)
    return {
        "normal z": np.full(pairs, 0.00135),
        "lognormal": np.exp(rng.normal(np.log(3e-4), 1.5, pairs)).clip(max=0.5),
        "wide": np.exp(rng.normal(np.log(3e-5), 2.5, pairs)).clip(max=0.5),
        "two or three rates": np.where(few < 0.8, 1e-5, np.where(few < 0.98, 0.002, 0.05)),
        "mostly silent": np.where(few < 0.99, 0, 0.1),
    }


@pytest.mark.parametrize("world", worlds(1))
@pytest.mark.parametrize(("n", "trials"), [(N, 2500), (50, 2500), (N, 500)])
def test_p_values_are_uniform_or_larger_where_nothing_is_planted(world, n, trials):
    pairs = 20_000
    p, _ = null(worlds(pairs)[world], n, trials)
    for level in (0.1, 0.01, 0.001):
        slack = 4 * np.sqrt(level / pairs)
        assert (p <= level).mean() <= 1.75 * level + slack, level


@pytest.mark.parametrize("world", worlds(1))
def test_hardly_ever_is_anything_called_where_nothing_is_planted(world):
    rates = worlds(3_000)[world]
    assert np.mean([(null(rates, seed=seed)[1] < 0.05).any() for seed in range(20)]) <= 0.15


def test_p_values_are_uniform_and_not_only_larger():
    """Small p are as frequent as they say where rates vary over orders of magnitude."""
    p, _ = null(worlds(40_000)["wide"])
    for level in (0.1, 0.01):
        assert (p <= level).mean() > 0.6 * level


def test_the_rate_of_false_discoveries_is_what_q_says():
    """A tenth of the pairs exceed the line more often outside the class than inside."""
    pairs, shares = 5_000, []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rates = np.exp(rng.normal(np.log(3e-4), 1.5, pairs)).clip(max=0.5)
        planted = rng.random(pairs) < 0.1
        elsewhere = np.where(planted, rates + rng.uniform(0, 0.1, pairs), rates)
        own, flagged = rng.binomial(N, rates), rng.binomial(2500, elsewhere)
        n, trials = np.full(pairs, N), np.full(pairs, 2500)
        p = predictive_tail(pooled_rates(own, n), flagged, trials, own, n)
        called = false_discovery_rate(p, pairs) <= 0.1
        assert (called & planted).sum() > 0.4 * planted.sum()
        shares.append((called & ~planted).sum() / max(1, called.sum()))
    assert np.mean(shares) < 0.1


def test_a_component_that_never_fires_on_the_class():
    """10 images of 2,500 where none of 256 is above the line: not p = .5, and not nothing either."""
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(np.log(3e-4), 1.5, 50_000)).clip(max=0.5)
    own = rng.binomial(N, rates)
    learned = pooled_rates(own, np.full(len(own), N))
    flagged = np.array([0, 1, 10, 30, 100])
    p = predictive_tail(learned, flagged, *(np.full(5, value) for value in (2500, 0, N)))
    assert p[0] == 1 and p[1] > 0.2
    assert 0.005 < p[2] < 0.05
    assert p[3] < 1e-3 and p[4] < 1e-7
    again = predictive_tail(learned, flagged, *(np.full(5, value) for value in (2500, 5, N)))
    assert (again[1:] > p[1:]).all()  # it is known to exceed the line now and then
    truth = [np.mean(rng.binomial(2500, rates[own == 0]) >= f) for f in (1, 10)]
    np.testing.assert_allclose(p[1:3], truth, rtol=0.25)


def test_the_pooled_rates_are_the_most_likely_ones():
    rng = np.random.default_rng(3)
    n = rng.integers(20, 60, 300)
    own = rng.binomial(n, rng.beta(0.3, 5, 300))
    rates = pooled_rates(own, n)
    expected = slow.rate_weights(list(zip(own.tolist(), n.tolist(), strict=True)))
    assert rates.weight.sum() == pytest.approx(1)
    np.testing.assert_allclose(rates.weight, expected, atol=2e-3)


def test_tail_and_share_by_summing():
    rates = Rates(np.array([0.5, 0.3, 0.2]), np.array(slow.SCALES[2:5]))
    rng = np.random.default_rng(4)
    n, trials = rng.integers(1, 30, 40), rng.integers(1, 90, 40)
    own, flagged = rng.integers(0, n + 1), rng.integers(0, trials + 1)
    found = predictive_tail(rates, flagged, trials, own, n), expected_share(rates, own, n)
    for i in range(len(n)):
        after = np.array(
            [w * betabinom.pmf(own[i], n[i], 1, s) for w, s in zip(rates.weight, rates.scale, strict=True)]
        )
        after /= after.sum()
        below = [betabinom.cdf(flagged[i] - 1, trials[i], 1 + own[i], s + n[i] - own[i]) for s in rates.scale]
        np.testing.assert_allclose(found[0][i], 1 - after @ below, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(found[1][i], after @ [(1 + own[i]) / (1 + s + n[i]) for s in rates.scale])


def test_small_p_values_keep_their_digits():
    rates = Rates(np.ones(1), np.array([1e6]))
    p = predictive_tail(rates, *(np.array([v]) for v in (60, 300, 0, N)))
    tail = betabinom.pmf(np.arange(60, 301), 300, 1, 1e6 + N).sum()
    assert p[0] == pytest.approx(tail, rel=1e-7)
    assert 0 < p[0] < 1e-100


def test_no_pair_at_all():
    empty = np.zeros(0, np.int64)
    rates = pooled_rates(empty, empty)
    assert len(predictive_tail(rates, empty, empty, empty, empty)) == 0
    assert len(false_discovery_rate(np.zeros(0), 0)) == 0


def test_q_values_are_those_of_scipy_with_untouched_pairs_counted():
    p = np.array([0.04, 0.001, 0.3, 0.04, 0.9])
    everything = np.concatenate([p, np.ones(7)])
    expected = false_discovery_control(everything, method="bh")[: len(p)]
    np.testing.assert_allclose(false_discovery_rate(p, len(everything)), expected, rtol=1e-12)
    assert false_discovery_rate(np.zeros(0), 5).shape == (0,)


@given(st.lists(st.integers(0, 20)), st.integers(1, 30))
def test_counts_are_those_of_sorting(numbers, few):
    numbers = np.array(numbers, np.int64)
    with mock.patch.object(discovery, "_FEW", few):
        found = discovery._counted(numbers)
    for ours, theirs in zip(found, np.unique(numbers, return_counts=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)
