"""Which of several candidates is audited."""

import numpy as np
import pytest

from reliance.audits.choice import Candidate
from reliance.audits.directions import Direction, Thresholds


def candidate(relevance: float, shift: float) -> Candidate:
    nothing = np.zeros(1)
    return Candidate(0, 1, relevance, 1.0, Thresholds(0.0, 1.0), Direction(nothing, 1, 1), nothing, shift)


@pytest.mark.parametrize(
    ("relevance", "shift", "weight"),
    [(0.5, 0.4, 0.08), (0.5, -0.4, 0.0), (-0.5, 0.4, -0.08), (-0.5, -0.4, 0.0)],
)
def test_weight_is_relevance_that_the_intervention_moves(relevance, shift, weight):
    assert candidate(relevance, shift).weight == pytest.approx(weight)


def test_of_two_that_see_the_same_the_more_relevant_one_weighs_more():
    assert candidate(0.14, 0.967).weight > candidate(0.03, 0.969).weight > candidate(0.37, 0.05).weight
