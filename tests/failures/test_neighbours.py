import numpy as np
import pytest

from attribution.toy import ToySplit
from reliance.encoders.stored import Embeddings
from reliance.failures.evidence import centre_cosine
from reliance.failures.neighbours import Main, class_centres, main_class


def test_the_main_class_is_the_most_frequent_one():
    labels = np.array([0, 0, 1, 1, 1, 2, -1, 2])
    view = {0: np.array([0, 1]), 1: np.array([2, 3, 4]), 2: np.array([5, 7])}
    assert main_class(np.array([0, 2, 3, 5]), labels, view) == Main(1, 0.5, 2 / 3)
    assert main_class(np.array([0, 5]), labels, view) == Main(0, 0.5, 0.5)  # a tie: the smaller id
    nobody = main_class(np.array([6]), labels, view)
    assert nobody.class_id == -1 and np.isnan([nobody.share, nobody.flagged]).all()


@pytest.mark.parametrize("block_rows", [2, 100])
def test_centres_are_mean_directions_of_readable_images(tmp_path, block_rows):
    split = ToySplit(tmp_path, per_class=10)
    stored = np.random.default_rng(0).normal(size=(split.rows, 6)).astype(np.float16)
    valid = np.ones(split.rows, bool)
    valid[[3, 9]] = False
    arrays = {"embedding": stored, "valid": valid}
    manifest, _ = split.write_parts("embeddings", arrays, {"index": "i", "weights": "v"}, folder="labels")
    images = {4: np.array([1, 3, 5, 7, 8]), 9: np.array([3, 9])}
    found = class_centres(Embeddings(manifest), images, [4, 9], block_rows)
    assert set(found) == {4}
    z = stored[[1, 5, 7, 8]].astype(np.float64)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    mean = unit.mean(0) / np.linalg.norm(unit.mean(0))
    np.testing.assert_allclose(found[4].mean, mean, rtol=1e-5, atol=1e-6)
    assert found[4].usual == pytest.approx(np.median(unit @ mean), abs=1e-6)
    assert centre_cosine(found, Main(4, 1, 1), 4) == pytest.approx(1)
    assert np.isnan(centre_cosine(found, Main(9, 1, 1), 4))
    assert np.isnan(centre_cosine(found, Main(-1, 1, 1), 4))
