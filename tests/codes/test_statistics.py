from pathlib import Path

import numpy as np
import pytest

from reliance.codes.statistics import component_statistics
from reliance.codes.store import open_codes
from reliance.codes.top_samples import strongest

from .examples import as_dense, opened, random_codes, write_codes


@pytest.mark.parametrize("block_rows", [13, 1000])
@pytest.mark.parametrize("n", [3, 90])
def test_statistics_are_those_of_the_dense_activations(tmp_path: Path, n: int, block_rows: int) -> None:
    codes, dense = opened(tmp_path, n=n)
    found = component_statistics(codes, strongest(codes, 20, 1000), block_rows)
    ordered = -np.sort(-dense, axis=0)
    assert (dense == 0).all(0).any() == (n == 3)  # with few images some components never fire
    np.testing.assert_array_equal(found.n_active, (dense != 0).sum(0))
    np.testing.assert_allclose(found.firing_rate, (dense != 0).mean(0))
    np.testing.assert_allclose(found.mean, dense.mean(0))
    np.testing.assert_array_equal(found.max, dense.max(0))
    np.testing.assert_allclose(found.top5_mean, ordered[:5].mean(0))
    np.testing.assert_allclose(found.top20_mean, ordered[:20].mean(0))


def test_unreadable_images_do_not_count(tmp_path: Path) -> None:
    values, indices = random_codes(40, 12, 4)
    bad = [0, 11, 30]
    values[bad], indices[bad] = 0, 0
    codes = open_codes(write_codes(tmp_path, values, indices, 12, excluded=bad))
    found = component_statistics(codes, strongest(codes, 20, 1000), 1000)
    dense = np.delete(as_dense(values, indices, 12), bad, axis=0)
    np.testing.assert_allclose(found.firing_rate, (dense != 0).mean(0))
    np.testing.assert_allclose(found.mean, dense.mean(0))
