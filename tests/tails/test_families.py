"""Referees: sums over members, and deletion of all members at once; with and without LayerNorm."""

import numpy as np
import pytest
import torch

from reliance.tails import integrated
from reliance.tails.families import FamilyTail, with_families
from reliance.tails.head_tail import HeadTail

from .test_head_tail import DOUBLE, HEADS, close, gradient, output, parts
from .test_relevance import K, M, Toy, tensor

LEVELS = np.stack(
    [np.arange(M) // 4, np.where(np.arange(M) < 20, 10 + np.arange(M) // 10, -1)]  # of 4; two of 10 units
).astype(np.int64)


@pytest.fixture(params=HEADS)
def toy(request):
    made = Toy(unit=False)
    made.indices[1] = [0, 1, 2, 3, 12, 30]  # a whole family, one member, and others
    return HEADS[request.param](made)


def opened(toy):
    return FamilyTail(HeadTail(toy.head, toy.decoder, toy.text, dtype=DOUBLE), LEVELS)


def members(toy, image, family):
    """Places of active members of a family in an image."""
    of = LEVELS[:, toy.indices[image]]
    return [p for p in range(K) if toy.values[image, p] and family in of[:, p].tolist()]


def pairs(toy):
    """(image, place in the wide code, family) of all families that are active anywhere."""
    scores = opened(toy).score(toy.x, toy.values, toy.indices)
    found = torch.nonzero(scores.values[:, K:])
    return scores, [(i, K + p, int(scores.indices[i, K + p]) - M) for i, p in found.tolist()]


def test_every_active_family_stands_once_with_the_sum_of_its_members(toy):
    scores, found = pairs(toy)
    expected = {
        (i, int(f))
        for i in range(len(toy.x))
        for f in np.unique(LEVELS[:, toy.indices[i]])
        if f >= 0 and members(toy, i, f)
    }
    assert {(i, f) for i, _, f in found} == expected and len(found) == len(expected)
    for i, place, f in found:
        close(scores.values[i, place], tensor(toy.values[i, members(toy, i, f)]).sum())
    most = max(sum(i == image for i, _, _ in found) for image in range(len(toy.x)))
    assert (opened(toy).units, scores.values.shape[1]) == (M + 12, K + most)


def test_relevances_are_sums_and_removals_of_all_members(toy):
    scores, found = pairs(toy)
    values, rows, _ = parts(toy)
    n = len(toy.x)
    for c in range(n):
        text, prompts = tensor(toy.text[c]), torch.full((n,), c)
        single = gradient(toy, 1.0, text)
        slope = scores.relevance("act_x_grad", torch.arange(n), prompts)
        exact = scores.relevance("ablation", torch.arange(n), prompts)
        close(slope[:, :K], single)
        y = output(toy, tensor(toy.x), text)
        for i, place, f in found:
            own = members(toy, i, f)
            close(slope[i, place], single[i, own].sum())
            without = tensor(toy.x[i]) - (values[i, own, None] * rows[i, own]).sum(0)
            close(exact[i, place], y[i] - output(toy, without, text))
        silent = scores.values == 0
        assert not slope[silent].any() and not exact[silent].any()


def test_members_are_summed_in_blocks_of_any_size(toy, monkeypatch):
    every = torch.arange(len(toy.x))
    whole = opened(toy).score(toy.x, toy.values, toy.indices).relevance("ablation", every, every)
    monkeypatch.setitem(integrated._GATHER, "cpu", 3 * toy.x.shape[1])
    close(opened(toy).score(toy.x, toy.values, toy.indices).relevance("ablation", every, every), whole)


def test_a_family_of_one_is_its_unit(toy):
    tail = HeadTail(toy.head, toy.decoder, toy.text, dtype=DOUBLE)
    scores = FamilyTail(tail, np.arange(M)[None]).score(toy.x, toy.values, toy.indices)
    every = torch.arange(len(toy.x))
    for form in ("act_x_grad", "ablation"):
        r, unit = scores.relevance(form, every, every), scores.indices
        for i in every:
            active = unit[i, :K][scores.values[i, :K] != 0]
            assert (unit[i, K : K + len(active)] == M + active.sort().values).all()
            close(r[i, K : K + len(active)], r[i, :K][scores.values[i, :K] != 0][active.argsort()])
            assert not r[i, K + len(active) :].any()


def test_without_families_the_tail_stays(toy):
    tail = HeadTail(toy.head, toy.decoder, toy.text, dtype=DOUBLE)
    assert with_families(tail, np.full((1, M), -1)) is tail
    with pytest.raises(TypeError, match="closed form"):
        with_families(object(), LEVELS)
