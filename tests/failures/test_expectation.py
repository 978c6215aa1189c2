import numpy as np
import pandas as pd
import pytest
import torch

from attribution.toy import CLASS_IDS, ToySplit
from reliance.attribution.inputs import Computing, blocks, open_inputs, open_tail
from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.attribution.table import attribute_split
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.failures.expectation import EXPECTATIONS, Moments, expectation_frame, expectations

from . import slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), seed=1)
    split.explained = split.files()
    return split


def expected(toy, folder, relevance="act_x_grad", every_nth=1, **computing):
    """The stage after `attribute_split`, on the toy split."""
    paths = {name: folder / f"{name}.parquet" for name in ("attributions", "outputs")}
    computing = Computing(**{"threads": 1, "dtype": "float64", **computing})
    attribute_split(toy.explained, **paths, split="train", every_nth=every_nth, computing=computing)
    expectations(**paths, expectations=folder / "e.parquet", relevance=relevance)
    return read_table(folder / "e.parquet", EXPECTATIONS)


@pytest.mark.parametrize("relevance", ["act_x_grad", "ablation"])
@pytest.mark.parametrize(("every_nth", "block_rows"), [(1, 37), (3, 1000)])
def test_expectations_equal_the_slow_reference(toy, tmp_path, relevance, every_nth, block_rows):
    used = [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0 and i % every_nth == 0]
    slowly = slow.expect(toy, *slow.relevances(toy, relevance), used)
    frame, stamp = expected(toy, tmp_path, relevance, every_nth, block_rows=block_rows)
    assert stamp.params["relevance"] == relevance and stamp.params["every_nth"] == every_nth
    for c, e in slowly.items():
        rows = frame[frame["class_id"] == CLASS_IDS[c]]
        whole, pairs = rows[rows["component"] == -1], rows[rows["component"] >= 0]
        np.testing.assert_allclose(
            whole[["n", "y_mean", "y_std"]].to_numpy(), [[e["n"], e["y_mean"], e["y_std"]]], rtol=1e-6
        )
        assert whole[["mean", "std"]].isna().all().all() and pairs[["y_mean", "y_std"]].isna().all().all()
        seen = np.flatnonzero(e["n_active"])
        assert pairs["component"].tolist() == seen.tolist()
        assert (pairs["n"] == e["n"]).all() and pairs["n_active"].tolist() == e["n_active"][seen].tolist()
        np.testing.assert_allclose(pairs["mean"], e["mean"][seen], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(pairs["std"], e["std"][seen], rtol=1e-5, atol=1e-8)


def test_block_size_changes_nothing(toy, tmp_path):
    frames = [expected(toy, tmp_path, block_rows=block_rows).frame for block_rows in (7, 64, 4096)]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0], rtol=1e-6, atol=1e-9)


def test_one_image_has_no_spread_and_an_absent_class_no_row():
    moments = Moments.zeros(3, 4)
    moments.n[1], moments.y[:, 1] = 1, [0.5, 0.25]
    moments.n_active[1, 2], moments.relevance[:, 1, 2] = 1, [0.1, 0.01]
    frame = expectation_frame(moments, np.array([4, 6, 8]))
    assert frame[["class_id", "component", "n", "n_active"]].to_numpy().tolist() == [
        [6, -1, 1, 1],
        [6, 2, 1, 1],
    ]
    assert frame["y_mean"][0] == 0.5 and frame["mean"][1] == 0.1
    assert np.isnan(frame["y_std"][0]) and np.isnan(frame["std"][1])


def test_rows_are_in_the_order_of_class_and_component():
    rng = np.random.default_rng(0)
    moments = Moments.zeros(5, 7)
    label = rng.choice([0, 2, 3], 30)  # one of five is first, one absent between, one absent at the end
    moments.add_images(label, rng.normal(size=30))
    moments.add(label[:20], rng.integers(0, 7, 20), rng.normal(size=20))
    frame = expectation_frame(moments, np.array([1, 4, 6, 8, 9]))
    found = list(zip(frame["class_id"], frame["component"], strict=True))
    pairs = [(c, j) for c, j in zip(*np.nonzero(moments.n_active), strict=True)]
    names = {0: 1, 2: 6, 3: 8}
    expected = sorted([(names[c], j) for c, j in pairs] + [(names[c], -1) for c in set(label.tolist())])
    assert found == expected
    alone = frame[frame["component"] < 0]
    assert alone["y_mean"].tolist() == pytest.approx([moments.y[0, c] / moments.n[c] for c in (0, 2, 3)])
    both = frame[frame["component"] >= 0]
    assert both["n_active"].tolist() == [moments.n_active[c, j] for c, j in pairs]
    assert both["mean"].tolist() == pytest.approx(
        [moments.relevance[0, c, j] / moments.n[c] for c, j in pairs]
    )


@pytest.mark.parametrize("relevance", ["act_x_grad", "ablation"])
def test_tables_give_bitwise_what_the_images_give(toy, tmp_path, relevance):
    """Sums over blocks of images, as relevances come from the tail, in place of those over the tables."""
    computing = Computing(threads=1, block_rows=37)
    inputs = open_inputs(toy.explained, "train")
    tail = open_tail(inputs.units, inputs.head, inputs.text, computing)
    moments = Moments.zeros(len(CLASS_IDS), inputs.units.m)
    for block in blocks(inputs, 3, computing.block_rows):
        scores, label = tail.score(block.x, block.values, block.indices), torch.as_tensor(block.label)
        rows = torch.arange(len(label))
        moments.add_images(block.label, scores.y[rows, label].numpy())
        r, active = scores.relevance(relevance, rows, label).numpy(), block.values != 0
        image, position = np.nonzero(active)
        moments.add(block.label[image], block.indices[active], r[image, position])
    stored, _ = expected(toy, tmp_path, relevance, 3, dtype="float32", block_rows=37)
    directly = expectation_frame(moments, np.array(CLASS_IDS))
    pd.testing.assert_frame_equal(stored, directly, check_dtype=False, check_exact=True)


def test_outputs_of_other_attributions_are_refused(toy, tmp_path):
    expected(toy, tmp_path)
    frame, stamp = read_table(tmp_path / "outputs.parquet", OUTPUTS)
    other = tmp_path / "other.parquet"
    write_table(other, frame, OUTPUTS, stamp.params, {**stamp.inputs, "attributions": "0" * 64})
    with pytest.raises(RelianceError, match="same attributions"):
        expectations(
            attributions=tmp_path / "attributions.parquet", outputs=other, expectations=tmp_path / "x.parquet"
        )


@pytest.mark.parametrize(("name", "column"), [("attributions", "act_x_grad"), ("outputs", "y")])
def test_tables_that_are_not_finite_are_refused(toy, tmp_path, name, column):
    expected(toy, tmp_path)
    spec = {"attributions": ATTRIBUTIONS, "outputs": OUTPUTS}[name]
    paths = {key: tmp_path / f"{key}.parquet" for key in ("attributions", "outputs")}
    frame, stamp = read_table(paths[name], spec)
    frame.loc[3, column] = np.nan
    write_table(paths[name], frame, spec, stamp.params, stamp.inputs)
    with pytest.raises(RelianceError, match=f"{column}: 1 of .* first in row 3"):
        expectations(**paths, expectations=tmp_path / "x.parquet")
