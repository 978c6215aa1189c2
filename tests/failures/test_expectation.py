import numpy as np
import pandas as pd
import pytest
import torch

from attribution.toy import CLASS_IDS, ToySplit
from reliance.base.artifacts import read_table
from reliance.failures.expectation import EXPECTATIONS, Moments, expectation_frame, expectations

from . import slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), seed=1)
    split.paths = {**split.write(), "threads": 1}
    return split


@pytest.mark.parametrize("relevance", ["act_x_grad", "ablation"])
@pytest.mark.parametrize(("every_nth", "block_rows"), [(1, 37), (3, 1000)])
def test_expectations_equal_the_slow_reference(toy, tmp_path, relevance, every_nth, block_rows):
    used = [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0 and i % every_nth == 0]
    expected = slow.expect(toy, *slow.relevances(toy, relevance), used)
    settings = {"every_nth": every_nth, "relevance": relevance, "block_rows": block_rows, "dtype": "float64"}
    expectations(**toy.paths, expectations=tmp_path / "e.parquet", **settings)
    frame, stamp = read_table(tmp_path / "e.parquet", EXPECTATIONS)
    assert stamp.params["relevance"] == relevance and stamp.params["every_nth"] == every_nth
    for c, e in expected.items():
        rows = frame[frame["class_id"] == CLASS_IDS[c]]
        whole, pairs = rows[rows["component"] == -1], rows[rows["component"] >= 0]
        np.testing.assert_allclose(
            whole[["n", "y_mean", "y_std"]].to_numpy(), [[e["n"], e["y_mean"], e["y_std"]]], rtol=1e-9
        )
        assert whole[["mean", "std"]].isna().all().all() and pairs[["y_mean", "y_std"]].isna().all().all()
        seen = np.flatnonzero(e["n_active"])
        assert pairs["component"].tolist() == seen.tolist()
        assert (pairs["n"] == e["n"]).all() and pairs["n_active"].tolist() == e["n_active"][seen].tolist()
        np.testing.assert_allclose(pairs["mean"], e["mean"][seen], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(pairs["std"], e["std"][seen], rtol=1e-7, atol=1e-10)


def test_block_size_changes_nothing(toy, tmp_path):
    frames = []
    for block_rows in (7, 64, 4096):
        expectations(
            **toy.paths,
            expectations=tmp_path / "e.parquet",
            every_nth=1,
            block_rows=block_rows,
            dtype="float64",
        )
        frames.append(read_table(tmp_path / "e.parquet", EXPECTATIONS).frame)
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0], rtol=1e-9, atol=1e-9)


def test_one_image_has_no_spread_and_an_absent_class_no_row():
    moments = Moments.zeros(3, 4, torch.device("cpu"))
    moments.n[1], moments.y[:, 1] = 1, torch.tensor([0.5, 0.25], dtype=torch.float64)
    moments.n_active[1, 2], moments.relevance[:, 1, 2] = 1, torch.tensor([0.1, 0.01], dtype=torch.float64)
    frame = expectation_frame(moments, np.array([4, 6, 8]))
    assert frame[["class_id", "component", "n", "n_active"]].to_numpy().tolist() == [
        [6, -1, 1, 1],
        [6, 2, 1, 1],
    ]
    assert frame["y_mean"][0] == 0.5 and frame["mean"][1] == 0.1
    assert np.isnan(frame["y_std"][0]) and np.isnan(frame["std"][1])
