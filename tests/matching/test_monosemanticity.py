"""The score of every unit against the sum over all pairs of images."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from reliance.matching.monosemanticity import monosemanticity


def test_it_is_the_sum_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    a = (rng.random((20, 6)) * (rng.random((20, 6)) < 0.4)).astype(np.float32)
    a[:, 4] = 0
    a[1:, 5] = 0
    z = rng.standard_normal((20, 5)).astype(np.float32)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    found = monosemanticity(csr_array(a), z)
    for j in range(4):
        pairs = [(i, h) for i in range(20) for h in range(20) if i != h]
        weights = [a[i, j] * a[h, j] for i, h in pairs]
        expected = sum(w * float(unit[i] @ unit[h]) for w, (i, h) in zip(weights, pairs, strict=True)) / sum(
            weights
        )
        assert found[j] == pytest.approx(expected, rel=1e-5)
    assert np.isnan(found[4:]).all()


def test_a_unit_of_equal_images_has_one() -> None:
    a = csr_array(np.array([[1.0], [2.0], [0.0]], np.float32))
    z = np.array([[1.0, 0], [3.0, 0], [0, 1]], np.float32)
    assert monosemanticity(a, z)[0] == pytest.approx(1)
