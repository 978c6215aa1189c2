"""Words of directions: planted mixtures are found again (T5), one by one as scikit-learn finds them."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

from reliance.lens.words import dictionary, first_words, fitted, pursue, reconstructed, spread

RNG = np.random.default_rng(0)
ATOMS = dictionary(RNG.normal(size=(200, 24)).astype(np.float32))


def test_it_takes_what_scikit_learn_takes() -> None:
    directions = RNG.normal(size=(7, 24)).astype(np.float32)
    found = pursue(directions, ATOMS, 6)
    expected = orthogonal_mp(ATOMS.T.astype(np.float64), directions.T.astype(np.float64), n_nonzero_coefs=6)
    for row in range(7):
        own = np.zeros(200)
        own[found.atoms[row]] = found.coefficients[row]
        np.testing.assert_allclose(own, expected[:, row], atol=2e-4)


@pytest.mark.parametrize("m", [1, 3, 5])
def test_planted_mixtures_are_found_again(m: int) -> None:
    atoms = dictionary(np.random.default_rng(m).normal(size=(400, 64)).astype(np.float32))
    planted = np.stack([np.random.default_rng(i).choice(400, m, replace=False) for i in range(20)])
    signs = np.where(np.arange(m) % 2, -1.0, 1.0) * (2.0 - np.arange(m) / m)
    found = pursue(np.einsum("m,qmp->qp", signs, atoms[planted]), atoms, m)
    again = np.mean([len(set(a) & set(b)) / m for a, b in zip(found.atoms, planted, strict=True)])
    assert again > 0.9
    if m == 1:
        np.testing.assert_allclose(found.coefficients, 2, atol=1e-4)


def test_more_words_come_nearer_and_the_first_stay() -> None:
    directions = RNG.normal(size=(5, 24)).astype(np.float32)
    long, short = pursue(directions, ATOMS, 12), pursue(directions, ATOMS, 4)
    np.testing.assert_array_equal(long.atoms[:, :4], short.atoms)
    reached = [reconstructed(directions, ATOMS, long.atoms, m) for m in (1, 4, 12)]
    errors = [np.linalg.norm(directions - part, axis=1) for part in reached]
    few = first_words(directions, ATOMS, long.atoms, 4)
    np.testing.assert_allclose(few.coefficients, short.coefficients, atol=1e-5)
    assert (errors[0] > errors[1]).all() and (errors[1] > errors[2]).all()
    near, own = fitted(torch.from_numpy(directions), torch.from_numpy(ATOMS), short.atoms)
    np.testing.assert_allclose(own, short.coefficients, atol=1e-5)
    np.testing.assert_allclose(near, reconstructed(directions, ATOMS, long.atoms, 4), atol=1e-5)


def test_nothing_is_taken_where_nothing_is_left() -> None:
    directions = np.stack([np.zeros(24, np.float32), 3 * ATOMS[5]])
    found = pursue(directions, ATOMS, 3)
    assert (found.atoms[0] == -1).all() and found.atoms[1].tolist() == [5, -1, -1]
    np.testing.assert_allclose(found.coefficients, [[0, 0, 0], [3, 0, 0]], atol=1e-5)


def test_spread_is_the_mean_distance_of_words() -> None:
    atoms = np.eye(4, dtype=np.float32)
    taken = np.array([[0, -1], [0, 1], [0, 0]])
    values = np.array([[2.0, 0], [1, 1], [1, -1]], np.float32)
    np.testing.assert_allclose(spread(values, taken, atoms), [0, 0.5, 1])
