import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from reliance.robustness.auc import auc, average_precision, from_placement, place, remove


def by_pairs(positives, negatives):
    """DeLong's estimate by a double loop over all pairs."""
    psi = [[1.0 if p > n else 0.5 if p == n else 0.0 for n in negatives] for p in positives]
    rows = [sum(r) / len(r) for r in psi]
    columns = [sum(r[j] for r in psi) / len(psi) for j in range(len(negatives))]
    value = sum(rows) / len(rows)
    spread = [sum((v - value) ** 2 for v in part) / (len(part) - 1) / len(part) for part in (rows, columns)]
    return value, sum(spread) ** 0.5


def referee(positives, negatives):
    truth = [1] * len(positives) + [0] * len(negatives)
    return roc_auc_score(truth, [*positives, *negatives])


small = st.lists(st.integers(0, 6), min_size=2, max_size=12).map(lambda v: np.array(v, dtype=np.float32))


@settings(max_examples=60, deadline=None)
@given(small, small)
def test_ties_agree_with_all_pairs_and_sklearn(positives, negatives):
    found = auc(positives, negatives)
    value, error = by_pairs(positives.tolist(), negatives.tolist())
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.error == pytest.approx(error, abs=1e-12)
    assert found.value == pytest.approx(referee(positives, negatives), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(small, small)
def test_average_precision_agrees_with_sklearn_under_ties(positives, negatives):
    truth = [1] * len(positives) + [0] * len(negatives)
    expected = average_precision_score(truth, [*positives, *negatives])
    assert average_precision(np.sort(positives), negatives) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(average_precision(positives[:0], negatives))
    assert np.isnan(average_precision(np.sort(positives), negatives[:0]))


def test_continuous_scores_agree_with_sklearn():
    rng = np.random.default_rng(0)
    positives, negatives = rng.normal(0.7, 1, 83), rng.normal(0, 1, 2000)
    assert auc(positives, negatives).value == pytest.approx(referee(positives, negatives), abs=1e-12)


def test_hand_case():
    # Pairs won: 2 beats 1 only, 4 beats 1 and 3 -> rows 1/2, 1; columns: 1 is beaten by both, 3 by one.
    found = auc(np.array([4.0, 2.0]), np.array([1.0, 3.0]))
    assert found.value == 0.75
    assert found.error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))


def test_error_is_the_spread_over_repeated_draws():
    rng = np.random.default_rng(1)
    draws = [auc(rng.normal(1, 1, 60), rng.normal(0, 1, 40)) for _ in range(400)]
    spread = np.std([d.value for d in draws], ddof=1)
    assert np.mean([d.error for d in draws]) == pytest.approx(spread, rel=0.1)


def test_leaving_negatives_out_is_the_same_as_never_having_had_them():
    rng = np.random.default_rng(2)
    positives, negatives = np.sort(rng.integers(0, 9, 20)), rng.integers(0, 9, 50)
    part = rng.random(50) < 0.3
    everything, among = place(positives, negatives), place(positives, negatives[part])
    assert from_placement(remove(everything, part, among)) == pytest.approx(auc(positives, negatives[~part]))


@pytest.mark.parametrize(("m", "n"), [(0, 3), (3, 0), (0, 0)])
def test_an_empty_side_has_no_area(m, n):
    assert np.isnan(auc(np.arange(m) * 1.0, np.arange(n) * 1.0)).all()


@pytest.mark.parametrize(("m", "n"), [(1, 3), (3, 1)])
def test_a_single_sample_has_an_area_but_no_error(m, n):
    found = auc(np.arange(m) + 1.5, np.arange(n) * 1.0)
    assert found.value == pytest.approx(referee(np.arange(m) + 1.5, np.arange(n) * 1.0))
    assert np.isnan(found.error)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="finite"):
        auc(np.array([0.0, np.nan]), np.array([1.0]))
