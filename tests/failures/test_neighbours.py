import numpy as np
import pandas as pd
import pytest

from attribution.toy import ToySplit
from reliance.base.rows import Parts
from reliance.encoders.head import Head, project
from reliance.failures.evidence import centre_cosine, top_shares
from reliance.failures.neighbours import Main, class_centres, main_class


def test_the_main_class_is_the_most_frequent_one():
    labels = np.array([0, 0, 1, 1, 1, 2, -1, 2])
    view = {0: np.array([0, 1]), 1: np.array([2, 3, 4]), 2: np.array([5, 7])}
    assert main_class(np.array([0, 2, 3, 5]), labels, view) == Main(1, 0.5, 2 / 3)
    assert main_class(np.array([0, 5]), labels, view) == Main(0, 0.5, 0.5)  # a tie: the smaller id
    nobody = main_class(np.array([6]), labels, view)
    assert nobody.class_id == -1 and np.isnan([nobody.share, nobody.flagged]).all()


@pytest.mark.parametrize("block_rows", [2, 100])
@pytest.mark.parametrize("tokens", [False, True])
def test_centres_are_mean_directions_of_readable_images(tmp_path, block_rows, tokens):
    split = ToySplit(tmp_path, per_class=10)
    rng = np.random.default_rng(0)
    stored = rng.normal(size=(split.rows, 6)).astype(np.float16)
    valid = np.ones(split.rows, bool)
    valid[[3, 9]] = False
    head = Head(np.ones(6, "f4"), np.ones(6, "f4"), np.eye(6, 5, dtype="f4"), 1e-5) if tokens else None
    arrays = {"x" if tokens else "embedding": stored, "valid": valid}
    manifest, _ = split.write_parts("embeddings", arrays, {"index": "i", "weights": "v"}, folder="labels")
    images = {4: np.array([1, 3, 5, 7, 8]), 9: np.array([3, 9])}
    found = class_centres(Parts(manifest, "embeddings"), head, images, [4, 9], block_rows)
    assert set(found) == {4}
    z = stored[[1, 5, 7, 8]].astype(np.float64)
    z = project(z.astype("f4"), head).astype(np.float64) if tokens else z
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    mean = unit.mean(0) / np.linalg.norm(unit.mean(0))
    np.testing.assert_allclose(found[4].mean, mean, rtol=1e-5, atol=1e-6)
    assert found[4].usual == pytest.approx(np.median(unit @ mean), abs=1e-6)
    assert centre_cosine(found, Main(4, 1, 1), 4) == pytest.approx(1)
    assert np.isnan(centre_cosine(found, Main(9, 1, 1), 4))
    assert np.isnan(centre_cosine(found, Main(-1, 1, 1), 4))


def test_shares_of_the_strongest_images():
    rows = [(7, 0, 0), (7, 1, 3), (7, 2, 1), (7, 3, 2), (5, 0, 4)]
    top = pd.DataFrame(rows, columns=["component", "rank", "image_id"])
    shares = top_shares(top, np.array([2, 2, 9, 8, -1]), top_n=3)
    assert shares == pytest.approx({(7, 2): 2 / 3, (7, 8): 1 / 3, (5, -1): 1.0})
