import numpy as np
import pytest

from reliance.repair.paired import auc_change, mean_change


def slow(scores, positives, negatives):
    """(area, how each positive and each negative is placed), pair by pair."""
    wins = np.array(
        [[(scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]) for j in negatives] for i in positives]
    )
    return wins.mean(), wins.mean(1), wins.mean(0)


def test_areas_and_their_paired_error_are_those_of_all_pairs():
    g = np.random.default_rng(0)
    before = np.round(g.normal(size=40), 1)  # with ties
    after = np.round(before + 0.5 * g.normal(size=40), 1)
    positives, negatives = np.arange(9), np.arange(15, 40)
    one, two = (slow(s, positives, negatives) for s in (before, after))
    found = auc_change(before, after, positives, negatives)
    error = np.sqrt(np.var(two[1] - one[1], ddof=1) / 9 + np.var(two[2] - one[2], ddof=1) / 25)
    assert found == pytest.approx((one[0], two[0], error))
    assert auc_change(before, before, positives, negatives).error == 0


def test_sides_that_are_empty_or_of_one_image_have_no_number_or_no_error():
    scores = np.arange(4.0)
    assert np.isnan(auc_change(scores, scores, np.arange(0), np.arange(2))).all()
    assert np.isnan(auc_change(scores, scores, np.array([3]), np.arange(2)).error)
    assert np.isnan(mean_change(np.zeros(0), np.zeros(0))).all()


def test_means_are_compared_image_by_image():
    found = mean_change(np.array([0.0, 1, 1, 0]), np.array([1.0, 1, 1, 0]))
    assert found.gain == 0.25 and found.error == pytest.approx(0.25)
