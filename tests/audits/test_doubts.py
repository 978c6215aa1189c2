"""When an audit can say nothing."""

import numpy as np
import pytest

from figures.audit_examples import PAPER, accuracies_of
from reliance.audits.doubts import balanced, doubts, told

AUDIT = {"names": ["dog", "cat"], "n_low": 10, "n_high": 10}


def seen(positive, negative, n=(23, 3), **about):
    frame = accuracies_of({key: ([positive] * 3, [negative] * 3) for key in PAPER}, n=n)
    return doubts(frame, AUDIT | about)


def test_the_papers_classifier_is_not_doubted():
    assert doubts(accuracies_of(PAPER), AUDIT).all == []


@pytest.mark.parametrize(("positive", "negative"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.3, 0.2)])
def test_a_classifier_that_draws_is_said_to_do_so(positive, negative):
    (doubt,) = seen(positive, negative, n=(100, 100)).test
    assert "does not tell dog from cat" in doubt


def test_what_is_clearly_better_than_a_draw_is_not():
    assert not seen(0.7, 0.7, n=(100, 100)).all
    assert seen(0.55, 0.55, n=(100, 100)).test  # within two errors of a draw


def test_few_held_out_images_and_few_samples():
    (doubt,) = seen(1.0, 1.0).test
    assert "tested on 3 of cat: fewer than 10 images" in doubt
    found = seen(1.0, 1.0, n=(50, 50), n_high=9)
    assert not found.test and "from 10 weak to 9 strong samples" in found.direction[0]


def test_the_error_of_the_mean_is_that_of_two_shares():
    both = told(accuracies_of({key: ([1.0] * 3, [0.0] * 3) for key in PAPER}, n=(23, 3)), AUDIT)
    share, error = balanced(both)
    a, b = 24 / 25, 1 / 5
    assert share == 0.5
    assert error == pytest.approx(0.5 * np.sqrt(a * (1 - a) / 23 + b * (1 - b) / 3))
