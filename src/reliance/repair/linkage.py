"""Families by average linkage on a sparse graph of likenesses; deterministic.

Two families are as alike as the mean over all pairs of their members, pairs that are not in the graph
counting 0. The most alike two are joined, then the next (of equal ones those with the smallest numbers),
down to each cut: a cut is a level, and a family of a lower cut holds whole families of a higher one.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array


def families(graph: csr_array, cuts: Sequence[float], largest: int) -> np.ndarray:
    """Families of m units at each cut, int64 [L, m]: numbers from 0, -1 for a unit without one.

    graph : symmetric likenesses [m, m] above 0. cuts : falling. largest : members of a family at most.
    A family has two members or more. One that a higher cut has already is not repeated: its members have
    -1 there.
    """
    m = graph.shape[0]
    near: dict[int, dict[int, float]] = {
        i: dict(zip(*(a.tolist() for a in _row(graph, i)), strict=True)) for i in range(m)
    }
    members = {i: [i] for i in range(m)}
    heap = [(-value, i, j) for i in range(m) for j, value in near[i].items() if i < j]
    heapq.heapify(heap)
    levels, known, number, following = [], set[tuple[int, ...]](), 0, m
    for cut in cuts:
        while heap and -heap[0][0] >= cut:
            _, i, j = heapq.heappop(heap)
            if i not in members or j not in members:
                continue  # one was joined to another since
            if len(members[i]) + len(members[j]) > largest:
                continue
            members[following] = members.pop(i) + members.pop(j)
            near[following] = _joined(near, i, j, following)
            for other, total in near[following].items():
                mean = total / (len(members[following]) * len(members[other]))
                heapq.heappush(heap, (-mean, other, following))
            following += 1
        level = np.full(m, -1, np.int64)
        for own in sorted(tuple(sorted(found)) for found in members.values() if len(found) > 1):
            if own not in known:
                known.add(own)
                level[list(own)] = number
                number += 1
        levels.append(level)
    return np.stack(levels) if levels else np.full((0, m), -1, np.int64)


def _row(graph: csr_array, i: int) -> tuple[np.ndarray, np.ndarray]:
    part = slice(graph.indptr[i], graph.indptr[i + 1])
    return graph.indices[part], graph.data[part].astype(np.float64)


def _joined(near: dict[int, dict[int, float]], i: int, j: int, new: int) -> dict[int, float]:
    """Sums of likenesses of what i and j become; others are told."""
    small, large = sorted((near.pop(i), near.pop(j)), key=len)
    for other, total in small.items():
        large[other] = large.get(other, 0.0) + total
    large.pop(i, None)
    large.pop(j, None)
    for other, total in large.items():
        near[other].pop(i, None)
        near[other].pop(j, None)
        near[other][new] = total
    return large
