import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from reliance.robustness import scores
from reliance.robustness.scores import Logits, Scorers, log_odds


def by_hand(logits, class_ids):
    logits = logits.astype(np.longdouble)
    return np.stack([logits[:, c] - logsumexp(np.delete(logits, c, axis=1), axis=1) for c in class_ids], 1)


@pytest.mark.parametrize("classes", [2, 3, 40])
@pytest.mark.parametrize("scale", [0.1, 5, 300])
def test_log_odds_agree_with_the_sum_over_the_others(classes, scale):
    logits = np.random.default_rng(classes).normal(0, scale, (50, classes))
    class_ids = np.arange(classes)[:: max(1, classes // 5)]
    found = log_odds(logits, class_ids)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, by_hand(logits, class_ids).astype(float), rtol=1e-9, atol=1e-9)


def test_log_odds_are_those_of_the_probability_and_ties_are_even():
    logits = np.array([[0.0, np.log(3.0)], [1.0, 1.0]])
    np.testing.assert_allclose(log_odds(logits, np.arange(2)), [[-np.log(3), np.log(3)], [0, 0]], atol=1e-12)


def test_two_classes_rank_as_either_logit_does():
    rng = np.random.default_rng(0)
    weight, unit, labels = rng.normal(size=4), rng.normal(size=(60, 4)), np.arange(60) % 2
    logits = np.stack([-unit @ weight, unit @ weight], axis=1) / 2  # as `fit_logistic` stores them
    odds = log_odds(logits, np.arange(2))
    np.testing.assert_allclose(odds[:, 1], unit @ weight, atol=1e-12)
    assert roc_auc_score(labels, odds[:, 1]) == roc_auc_score(labels, logits[:, 1])


def test_a_number_added_to_all_logits_of_an_image_changes_nothing():
    rng = np.random.default_rng(1)
    logits, shift = rng.normal(size=(20, 6)), rng.normal(0, 50, (20, 1))
    np.testing.assert_allclose(
        log_odds(logits + shift, np.arange(6)), log_odds(logits, np.arange(6)), atol=1e-9
    )


@pytest.mark.parametrize("held", [1, 12, 1 << 22])
def test_only_some_classes_and_blocks_give_the_same_odds(monkeypatch, held):
    monkeypatch.setattr(scores, "BLOCK_LOGITS", held)
    rng = np.random.default_rng(2)
    weight, bias = rng.normal(size=(2, 5, 3)).astype("f4"), np.zeros((2, 5), "f4")
    unit = rng.normal(size=(7, 3)).astype("f4")
    scorers = Scorers(("short", "linear"), np.arange(5), weight, bias, {}, Logits(weight[1], bias[1]))
    found = scorers.only([1, 4]).score(unit, np.ones(7))
    expected = by_hand(unit.astype(float) @ weight[1].T.astype(float), [1, 4])
    np.testing.assert_allclose(found[1], expected.T.astype(float), atol=1e-5)
    np.testing.assert_allclose(found[0], weight[0, [1, 4]] @ unit.T, atol=1e-6)
