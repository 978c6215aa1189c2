import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.naming.clarity import clarity


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 20), st.integers(1, 8), st.integers(0, 10**6))
def test_clarity_is_the_mean_cosine_over_pairs(n: int, p: int, seed: int) -> None:
    e = np.random.default_rng(seed).standard_normal((n, p)) + 0.5
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i in range(n) for j in range(n) if i != j]
    assert clarity(unit.mean(0)[None], np.array([n]))[0] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_clarity_by_hand() -> None:
    means = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0], [1.0, 0.0]])
    found = clarity(means, np.array([5, 2, 2, 1]))
    np.testing.assert_allclose(found, [1, 0, -1, np.nan], atol=1e-12)
