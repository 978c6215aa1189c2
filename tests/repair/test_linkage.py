import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from reliance.repair.linkage import families


def slow(matrix, cuts, largest):
    """Average linkage by looking at all pairs of groups anew at every step."""
    groups, found = [[i] for i in range(len(matrix))], []
    for cut in cuts:
        while True:
            best = max(
                (
                    (matrix[np.ix_(a, b)].mean(), -i, -j)
                    for (i, a), (j, b) in itertools.combinations(enumerate(groups), 2)
                    if len(a) + len(b) <= largest
                ),
                default=(-1, 0, 0),
            )
            if best[0] < cut:
                break
            i, j = -best[1], -best[2]
            joined = groups[i] + groups[j]
            groups = [g for k, g in enumerate(groups) if k not in (i, j)] + [joined]
        found.append({tuple(sorted(g)) for g in groups if len(g) > 1})
    return found


@pytest.mark.parametrize("seed", range(6))
def test_levels_are_those_of_average_linkage(seed):
    g = np.random.default_rng(seed)
    one = np.where(g.random((14, 14)) < 0.6, g.random((14, 14)), 0)
    matrix = np.triu(one, 1) + np.triu(one, 1).T
    cuts, largest = (0.7, 0.45, 0.2), 6
    found = families(csr_array(matrix), cuts, largest)
    seen: set[tuple[int, ...]] = set()
    for level, expected in zip(found, slow(matrix, cuts, largest), strict=True):
        own = {tuple(np.flatnonzero(level == f).tolist()) for f in np.unique(level[level >= 0])}
        assert own == expected - seen  # a family of a higher cut is not said again
        seen |= own
    numbers = np.unique(found[found >= 0])
    assert numbers.tolist() == list(range(len(numbers)))


def test_without_likenesses_there_are_no_families():
    assert (families(csr_array((5, 5)), (0.5,), 10) == -1).all()
