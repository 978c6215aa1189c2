import numpy as np
import pandas as pd
import pytest

from reliance.failures.selection import select_cases, shared


def tables(*flags):
    """Flags (class, component, mean relevance, images)."""
    rows = [
        {"class_id": c, "component": j, "n_flagged": len(i), "mean_relevance": r, "q_value": 0.5}
        for c, j, r, i in flags
    ]
    samples = [{"class_id": c, "component": j, "image_id": image} for c, j, _, i in flags for image in i]
    return pd.DataFrame(rows), pd.DataFrame(samples)


def test_score_is_relevance_times_images_and_ranks_within_the_class():
    flags, samples = tables((1, 5, 0.2, [9, 3]), (1, 6, 0.1, range(20, 30)), (0, 2, 0.01, [1]))
    cases = select_cases(flags, samples, 3, 0.5)
    assert [(c.class_id, c.component, c.rank) for c in cases] == [(0, 2, 1), (1, 6, 1), (1, 5, 2)]
    assert cases[1].score == pytest.approx(1.0)
    assert cases[2].images.tolist() == [3, 9]


def test_a_flag_that_shares_half_of_the_smaller_set_is_absorbed():
    flags, samples = tables(
        (1, 5, 0.5, [0, 1, 2, 3, 4, 5]),
        (1, 6, 0.4, [4, 5, 6, 7]),  # 2 of 4 shared: absorbed
        (1, 7, 0.3, [5, 6, 7, 8]),  # 1 of 4 shared with the kept one: its own case
    )
    first, second = select_cases(flags, samples, 3, 0.5)
    assert (first.component, first.absorbed) == (5, [6])
    assert (second.component, second.absorbed) == (7, [])
    assert [c.component for c in select_cases(flags, samples, 3, 0.51)] == [5, 6]  # 6 absorbs 7


def test_at_most_so_many_cases_and_absorption_goes_on():
    flags, samples = tables(
        (1, 5, 0.5, [0, 1]), (1, 6, 0.4, [2, 3]), (1, 7, 0.3, [4, 5]), (1, 8, 0.2, [2, 9])
    )
    cases = select_cases(flags, samples, 2, 0.5)
    assert [(c.component, c.absorbed) for c in cases] == [(5, []), (6, [8])]


def test_ties_go_to_the_smaller_component_and_no_flags_give_no_cases():
    flags, samples = tables((1, 8, 0.5, [0]), (1, 3, 0.5, [1]))
    assert [c.component for c in select_cases(flags, samples, 3, 0.5)] == [3, 8]
    assert select_cases(flags[:0], samples[:0], 3, 0.5) == []


def test_shared_is_relative_to_the_smaller_set():
    assert shared(np.array([1, 2, 3, 4]), np.array([4, 9])) == 0.5
    assert shared(np.array([4, 9]), np.array([1, 2, 3, 4])) == 0.5
