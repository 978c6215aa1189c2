import numpy as np
import pandas as pd
import pytest

from attribution.toy import ToySplit
from reliance.encoders.head import project
from reliance.encoders.stored import Embeddings
from reliance.failures.evidence import cosine, group_scores, strongest_means


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), per_class=20)
    split.manifest = split.write()["embeddings"]
    return split


@pytest.mark.parametrize("block_rows", [9, 1000])
def test_group_scores_are_means_and_spreads_of_cosines(toy, block_rows):
    readable = np.flatnonzero(toy.valid)
    groups = [readable[[3, 7, 40]], readable[[7, 60]], readable[[12]]]
    found = group_scores(Embeddings(toy.manifest), groups, toy.text[:3], block_rows)
    for i, rows in enumerate(groups):
        z = project(toy.x[rows].astype(np.float64), toy.head)
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        np.testing.assert_allclose(found.mean[i], unit.mean(0), rtol=1e-5, atol=1e-6)
        y = unit @ toy.text[i]
        if len(rows) > 1:
            np.testing.assert_allclose(found.std[i], y.std(ddof=1), rtol=1e-4)
        np.testing.assert_allclose(found.mean[i] @ toy.text[i], y.mean(), rtol=1e-5, atol=1e-6)
    assert np.isnan(found.std[2])


def test_no_groups(toy):
    found = group_scores(Embeddings(toy.manifest), [], np.zeros((0, 8)), 100)
    assert found.mean.shape[0] == found.std.shape[0] == 0


def test_strongest_means_take_the_top_of_readable_images(toy, tmp_path):
    g = np.random.default_rng(0)
    embedding = g.normal(size=(toy.rows, 6)).astype(np.float16)
    valid = np.ones(toy.rows, bool)
    valid[30] = False
    arrays = {"embedding": embedding, "valid": valid}
    manifest, _ = toy.write_parts("embeddings", arrays, {"index": "i", "weights": "v"}, folder="labels")
    rows = [(4, 0, 11), (4, 1, 30), (4, 2, 50), (4, 3, 2), (9, 0, 11), (7, 0, 30), (5, 0, 1)]
    top = pd.DataFrame(rows, columns=["component", "rank", "image_id"])
    labels = Embeddings(manifest)
    found = strongest_means(labels, top, [4, 7, 9], top_n=3)
    assert set(found) == {4, 9}
    np.testing.assert_allclose(found[4], embedding[[11, 50]].astype(np.float32).mean(0), rtol=1e-6)
    np.testing.assert_allclose(found[9], embedding[11], rtol=1e-6)
    assert strongest_means(labels, top, [], top_n=3) == {}


def test_cosine_of_something_missing_is_nan():
    assert cosine(np.array([2.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
    assert np.isnan(cosine(None, np.ones(2))) and np.isnan(cosine(np.ones(2), None))
