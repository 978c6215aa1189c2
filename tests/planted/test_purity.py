"""Purity of units, against a loop over units and things."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from reliance.planted.purity import purities, shown


@pytest.mark.parametrize("seed", range(3))
def test_purity_is_the_largest_share_of_activation_on_one_thing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    code = rng.random((30, 6)) * (rng.random((30, 6)) < 0.4)
    code[:, 5] = 0
    shows = rng.random((30, 4)) < 0.5
    found = purities(csr_array(code), shows)
    for j in range(5):
        best = max(code[shows[:, v], j].sum() for v in range(4))
        assert found[j] == pytest.approx(best / code[:, j].sum())
    assert np.isnan(found[5])


def test_a_unit_of_one_thing_is_pure() -> None:
    frame = pd.DataFrame(
        {
            "object": ["spade", "spade", "rook", "rook"],
            "word": ["", "anchor", "", ""],
            "background": ["plain", "sea", "sea", "sea"],
        }
    )
    shows = shown(frame)
    assert shows.shape == (4, 2 + 1 + 2), "no word is no thing"
    units = np.array([[1, 0, 1], [3, 0, 1], [0, 2, 1], [0, 1, 1]], dtype=float)
    np.testing.assert_allclose(purities(csr_array(units), shows), [1, 1, 0.75])
