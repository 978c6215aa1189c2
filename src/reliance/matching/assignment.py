"""One partner for each unit: the assignment with the largest sum of correlations, within shortlists."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

_ALONE = 1e-6  # what a unit that stays alone counts, so that every unit can


def one_to_one(shortlist: np.ndarray, correlations: np.ndarray, others: int) -> np.ndarray:
    """The partner of each of m units among `others`, int64 [m], -1 where it stays alone.

    shortlist, correlations : [m, s], as `correlation.Pairs` has them; only positive correlations count.
    """
    m, _ = shortlist.shape
    row, place = np.nonzero(correlations > _ALONE)
    rows = np.concatenate([row, np.arange(m)])
    columns = np.concatenate([shortlist[row, place], others + np.arange(m)])
    weights = np.concatenate([correlations[row, place], np.full(m, _ALONE)]).astype(np.float64)
    graph = csr_array((weights, (rows, columns)), shape=(m, others + m))
    matched, partner = min_weight_full_bipartite_matching(graph, maximize=True)
    found = np.full(m, -1, np.int64)
    found[matched] = np.where(partner < others, partner, -1)
    return found
