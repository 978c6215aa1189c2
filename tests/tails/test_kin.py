"""Families of images by a loop over images, families and places, for any codes and levels."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from reliance.tails.kin import kin


def loops(active, of):
    """{(image, family): places of its active members}; bool [n, k], int64 [n, L, k]."""
    found: dict[tuple[int, int], list[int]] = {}
    for i, level, place in np.ndindex(of.shape):
        if active[i, place] and of[i, level, place] >= 0:
            found.setdefault((i, int(of[i, level, place])), []).append(place)
    return found


@st.composite
def codes(draw):
    """Which places are active, and the families of the units there; levels share no family."""
    n, levels, k, m = (draw(st.integers(1, most)) for most in (4, 3, 7, 9))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    table = rng.integers(-1, draw(st.integers(0, 4)), (levels, m))
    table = np.where(table < 0, -1, table + 5 * np.arange(levels)[:, None])
    indices = rng.integers(0, m, (n, k))
    return rng.random((n, k)) < draw(st.sampled_from([0, 0.5, 1])), table[:, indices].transpose(1, 0, 2)


@given(codes())
def test_every_active_family_has_a_column_with_its_members(made):
    active, of = made
    expected = loops(active, of)
    found = kin(torch.as_tensor(active), torch.as_tensor(of))
    present = [(i, w) for i, w in np.ndindex(found.of.shape) if found.of[i, w] >= 0]
    assert {(i, int(found.of[i, w])) for i, w in present} == set(expected)
    assert len(present) == len(expected)
    most = max((sum(i == image for i, _ in expected) for image in range(len(of))), default=0)
    assert found.of.shape == (len(of), most)
    places = {key: [] for key in expected}
    for i, e in np.ndindex(found.place.shape):
        if found.column[i, e] < most:
            places[i, int(found.of[i, found.column[i, e]])].append(int(found.place[i, e]))
    assert places == expected  # in rising order


@given(codes(), st.integers(0, 1000))
def test_sums_are_over_active_members(made, seed):
    active, of = made
    expected = loops(active, of)
    found = kin(torch.as_tensor(active), torch.as_tensor(of))
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(of), 5)
    numbers = rng.normal(size=(5, of.shape[2]))
    sums = found.sums(torch.as_tensor(numbers), torch.as_tensor(rows))
    every = found.sums(torch.as_tensor(numbers[rows % 5][: len(of)]))
    for (q, w), ours in np.ndenumerate(sums.numpy()):
        members = expected.get((rows[q], int(found.of[rows[q], w])), [])
        assert np.isclose(ours, numbers[q, members].sum())
    for (i, w), ours in np.ndenumerate(every.numpy()):
        members = expected.get((i, int(found.of[i, w])), [])
        assert np.isclose(ours, numbers[rows % 5][i, members].sum())
        assert bool(found.several[i, w]) == (len(members) > 1)


def test_no_image_and_no_family_have_no_columns():
    nobody = kin(torch.ones(3, 4, dtype=torch.bool), torch.full((3, 2, 4), -1))
    assert nobody.of.shape == (3, 0) and nobody.sums(torch.ones(3, 4)).shape == (3, 0)
    nothing = kin(torch.ones(0, 4, dtype=torch.bool), torch.zeros(0, 2, 4, dtype=torch.int64))
    assert nothing.of.shape == (0, 0) and nothing.several.shape == (0, 0)
