from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from reliance.faithfulness.orderings import best_active, best_of_all, find, start_of_random_order


def test_active_latents_by_score_ties_by_position_and_none_left():
    scores = torch.tensor([[1.0, 3, 3, -2], [5, 5, 5, 5], [0, 0, 0, 0]])
    values = torch.tensor([[1.0, 1, 1, 1], [0, 2, 0, -1], [0, 0, 0, 0]])
    assert best_active(scores, values, 3).tolist() == [[1, 2, 0], [1, 3, -1], [-1, -1, -1]]
    assert best_active(scores, values, 6)[0].tolist() == [1, 2, 0, 3, -1, -1]


@pytest.mark.parametrize("steps", [1, 3, 10, 11])
def test_the_best_of_all_latents_are_the_first_of_a_stable_sort(steps):
    g = np.random.default_rng(0)
    for scores in (g.normal(size=10), g.integers(0, 3, 10).astype(float), np.zeros(10), -np.arange(10.0)):
        expected = np.argsort(-scores, kind="stable")[:steps].tolist()
        assert best_of_all(scores, steps).tolist() == expected + [-1] * (steps - 10)


def test_random_orders_are_uniform():
    drawn = start_of_random_order(np.random.default_rng(0), 12000, 4, 2)
    counts = Counter(map(tuple, drawn.tolist()))
    assert len(counts) == 12 and all(a != b for a, b in counts)
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_random_orders_end_with_the_latents():
    drawn = start_of_random_order(np.random.default_rng(0), 5, 3, 6)
    assert (drawn[:, 3:] == -1).all()
    assert (np.sort(drawn[:, :3], axis=1) == np.arange(3)).all()
    assert len(np.unique(drawn, axis=0)) > 1


def test_latents_are_found_where_they_are_active():
    indices = torch.tensor([[7, 2, 0, 0], [0, 0, 0, 0]])
    values = torch.tensor([[1.0, -1, 0, 0], [0.5, 0, 0, 0]])
    latents = torch.tensor([[2, 0, 7, -1], [0, 2, -1, 7]])
    assert find(latents, values, indices).tolist() == [[1, -1, 0, -1], [0, -1, -1, -1]]
