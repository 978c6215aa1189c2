import numpy as np
import pandas as pd
import pytest
import torch

from attribution.toy import CLASS_IDS, ToySplit
from reliance.attribution.inputs import Computing
from reliance.attribution.table import attribute_split
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.failures.expectation import EXPECTATIONS, expectations
from reliance.failures.outliers import (
    OUTLIER_SAMPLES,
    OUTLIERS,
    Mining,
    flag_pairs,
    mine_outliers,
    own_above,
)
from reliance.failures.reference import Reference
from reliance.failures.scan import Tally

from . import slow

FORMS = ("act_x_grad", "ablation")
RULE = {"min_z": 3.0, "min_samples": 10, "confidence_std": 1.5, "min_relevance": 0.03}
CLOSE = {"rtol": 1e-5, "atol": 1e-9}  # relevances are stored as float32


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    split = ToySplit(tmp_path_factory.mktemp("toy"), seed=2)
    split.explained = split.files()
    split.dense = {form: slow.relevances(split, form) for form in FORMS}
    return split


def used(toy, every_nth=1):
    return [i for i in range(toy.rows) if toy.valid[i] and toy.labels[i] >= 0 and i % every_nth == 0]


DOUBLE = Computing(threads=1, dtype="float64")


def expect(toy, folder, relevance="act_x_grad", every_nth=1, computing=DOUBLE):
    """Attributions and expectations of the toy split; the path of these."""
    paths = {name: folder / f"{name}.parquet" for name in ("attributions", "outputs")}
    attribute_split(toy.explained, **paths, split="train", every_nth=every_nth, computing=computing)
    expectations(**paths, expectations=folder / "expectations.parquet", relevance=relevance)
    return folder / "expectations.parquet"


def mine(
    toy, folder, *, relevance="act_x_grad", every_nth=1, dtype="float64", expected=None, device="cpu", **rule
):
    """The stage on the toy split: (outliers, samples, their stamp)."""
    computing = Computing(block_rows=50, device=device, threads=1, dtype=dtype)
    if expected is None:
        expected = expect(toy, folder, relevance, every_nth, computing)
    out = {name: folder / f"{name}.parquet" for name in ("outliers", "outlier_samples")}
    shared = {"every_nth": every_nth, "relevance": relevance, "computing": computing}
    mine_outliers(toy.explained, expectations=expected, **out, **shared, rule=Mining(**rule))
    outliers = read_table(out["outliers"], OUTLIERS)
    samples = read_table(out["outlier_samples"], OUTLIER_SAMPLES)
    assert samples.stamp.inputs == {"outliers": outliers.stamp.id}
    return outliers.frame, samples.frame, outliers.stamp


@pytest.mark.parametrize("relevance", FORMS)
@pytest.mark.parametrize(
    ("every_nth", "change"),
    [
        (1, {}),
        (2, {"min_samples": 4}),
        (1, {"min_samples": 5, "min_relevance": 0.2}),
        (1, {"min_z": 1.0, "min_samples": 3, "min_relevance": 0.0, "confidence_std": 4.0}),
    ],
)
def test_mining_equals_the_slow_reference(toy, tmp_path, relevance, every_nth, change):
    rule = {**RULE, **change}
    y, r = toy.dense[relevance]
    kept, samples, _ = slow.mine(toy, y, r, used(toy, every_nth), rule)
    frame, found, _ = mine(toy, tmp_path, relevance=relevance, every_nth=every_nth, **rule)
    assert kept, "the toy split has something to find"
    ids = [(CLASS_IDS[c], j) for c, j in kept]
    assert list(zip(frame["class_id"], frame["component"], strict=True)) == ids
    expected = pd.DataFrame(list(kept.values()))
    learned = ("p0", "p_value", "q_value")  # by two optimisers
    for name in expected.columns:
        close = {"rtol": 2e-3} if name in learned else CLOSE
        np.testing.assert_allclose(frame[name].astype(float), expected[name].astype(float), **close)
    rows = [(CLASS_IDS[c], j, *sample) for (c, j), of_pair in samples.items() for sample in of_pair]
    expected = pd.DataFrame(rows, columns=["class_id", "component", "image_id", "y", "relevance", "z"])
    assert (found["split"] == "train").all() and len(found) == len(expected)
    for name in expected.columns:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-6, atol=1e-6)  # stored as float32


def test_most_planted_shortcuts_are_found(toy, tmp_path):
    frame, _, _ = mine(toy, tmp_path)
    found = set(zip(frame["class_id"], frame["component"], strict=True))
    assert len({(CLASS_IDS[c], 20 + c) for c in range(len(CLASS_IDS))} & found) == 3


def test_float32_finds_the_same(toy, tmp_path):
    double, single = (mine(toy, tmp_path, dtype=dtype)[0] for dtype in ("float64", "float32"))
    pd.testing.assert_frame_equal(single, double, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same(toy, tmp_path):
    cpu, gpu = (mine(toy, tmp_path, device=device)[:2] for device in ("cpu", "cuda"))
    for ours, theirs in zip(gpu, cpu, strict=True):
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)


def test_max_q_filters_and_the_default_does_not(toy, tmp_path):
    loose = {"min_z": 1.0, "min_samples": 3, "min_relevance": 0.0}
    everything, _, _ = mine(toy, tmp_path, **loose)
    limit = float(everything["q_value"].median())
    strict, samples, _ = mine(toy, tmp_path, **loose, max_q=limit)
    expected = everything[everything["q_value"] <= limit].reset_index(drop=True)
    assert 0 < len(strict) < len(everything)
    pd.testing.assert_frame_equal(strict, expected)
    assert len(samples) == strict["n_flagged"].sum()


def test_nothing_flagged_is_a_result(toy, tmp_path):
    frame, samples, _ = mine(toy, tmp_path, min_z=1e6)
    assert len(frame) == len(samples) == 0


def test_classes_without_a_reference_are_skipped_and_listed(toy, tmp_path):
    frame, stamp = read_table(expect(toy, tmp_path), EXPECTATIONS)
    frame.loc[frame["class_id"] == CLASS_IDS[1], "n"] = 1
    write_table(tmp_path / "e.parquet", frame, EXPECTATIONS, stamp.params, stamp.inputs)
    found, _, stamp = mine(toy, tmp_path, expected=tmp_path / "e.parquet")
    assert CLASS_IDS[1] not in set(found["class_id"]) and len(found)
    assert stamp.params["skipped"] == [CLASS_IDS[1]]


def test_expectations_of_other_settings_or_inputs_are_refused(toy, tmp_path):
    path = expect(toy, tmp_path, every_nth=2)
    with pytest.raises(RelianceError, match="same images and the same relevance"):
        mine(toy, tmp_path, expected=path)
    frame, stamp = read_table(path, EXPECTATIONS)
    write_table(path, frame, EXPECTATIONS, stamp.params, {**stamp.inputs, "text": "0" * 64})
    with pytest.raises(RelianceError, match="same text"):
        mine(toy, tmp_path, expected=path, every_nth=2)


def test_silent_images_of_the_class_above_a_negative_line_count():
    """Mean -1 and sigma 0.2: an image of the class on which the component is silent has z = 5."""
    table = {"n_active": [[9, 6]], "mean": [[-1.0, 0.0]], "sigma": [[0.2, 0.2]]}
    known = Reference(
        n=np.array([10]),
        y_mean=np.array([0.3]),
        y_std=np.array([0.1]),
        usable=np.array([True]),
        **{name: np.array(values) for name, values in table.items()},
    )
    counts = {"n_highconf": [50], "n_active": [[40, 40]], "n_flagged": [[20, 20]], "n_own": [[2, 2]]}
    tally = Tally(
        relevance=torch.tensor([[20.0, 20.0]]), **{name: torch.tensor(c) for name, c in counts.items()}
    )
    assert own_above(tally, known, 3.0).tolist() == [[2 + 1, 2]]
    found = flag_pairs(tally, known, Mining(3.0, 10, 0.03, None))
    assert found["p0"][0] > found["p0"][1]
    assert found["mean_z"].tolist() == pytest.approx([10.0, 5.0])
    assert found["unseen_in_reference"].tolist() == [False, False]


@pytest.mark.parametrize(("column", "component"), [("mean", 0), ("std", 0), ("y_mean", -1), ("y_std", -1)])
def test_expectations_that_are_not_finite_are_refused(toy, tmp_path, column, component):
    """A class would be skipped for them, or nothing flagged."""
    frame, stamp = read_table(expect(toy, tmp_path), EXPECTATIONS)
    frame.loc[(frame["component"] >= 0) == (component >= 0), column] = np.nan
    write_table(tmp_path / "e.parquet", frame, EXPECTATIONS, stamp.params, stamp.inputs)
    with pytest.raises(RelianceError, match=rf"{column}: \d+ of \d+ values are NaN"):
        mine(toy, tmp_path, expected=tmp_path / "e.parquet")
