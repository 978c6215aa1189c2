"""Referee: every curve by the head itself, image by image (toy.Naive)."""

import inspect
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from attribution.toy import WEIGHTS, K, M
from reliance.attribution.inputs import Computing, open_inputs
from reliance.base.artifacts import read_json, read_table
from reliance.base.errors import RelianceError
from reliance.faithfulness.sample import Images, Sampling, choose, random_orders, read_images
from reliance.faithfulness.schema import (
    CLASS_ORDERS,
    FAITHFULNESS,
    IMAGE_ORDERS,
    METHODS,
    SUMMARY,
    SUMMARY_SCHEMA,
)
from reliance.faithfulness.summary import CURVE, curve
from reliance.faithfulness.table import class_blocks, faithfulness
from reliance.units.sae.files import Sae, save_sae

from .toy import naive_curves

SETTINGS = {"classes": 3, "per_class": 7, "steps": 6, "path_steps": 4, "reference": 9, "seed": 5}


def run(toy, folder, *, block_rows=4096, device="cpu", files=None, **settings):
    paths = {"faithfulness": folder / "faithfulness.parquet", "summary": folder / "faithfulness.json"}
    settings = {"split": "train", **SETTINGS, "subsets": 9, **settings}
    sampling = Sampling(**{name: settings.pop(name) for name in Sampling._fields})
    computing = Computing(block_rows=block_rows, device=device, threads=1)
    faithfulness(files or toy.explained, **paths, sampling=sampling, computing=computing, **settings)
    return read_table(paths["faithfulness"], FAITHFULNESS), read_json(
        paths["summary"], SUMMARY, SUMMARY_SCHEMA
    )


def choice(toy):
    sampling = Sampling(**{name: SETTINGS[name] for name in ("classes", "per_class", "reference", "seed")})
    return choose(open_inputs(toy.explained, "train"), sampling, 4096)


def drawn(toy):
    """The random orders of the chosen images."""
    inputs, chosen = open_inputs(toy.explained, "train"), choice(toy)
    images = read_images(inputs, chosen.rows, 4096)
    return random_orders(images, chosen.label, M, SETTINGS["steps"], SETTINGS["seed"])


@pytest.fixture(scope="module")
def expected(toy):
    """Key -> y [n, S + 1] by brute force."""
    chosen = choice(toy)
    found = naive_curves(toy, chosen, drawn(toy), SETTINGS["steps"], SETTINGS["path_steps"])
    return {key: y[:, : K + 1] if key.protocol.startswith("local") else y for key, y in found.items()}


def curves(frame, column="y"):
    """Key -> [cells, S + 1], by class and subset; one image per subset: by image."""
    keys = ["protocol", "method", "error_term", "restrict_to_active"]
    return {
        key: part.pivot(index=["class_id", "subset"], columns="step", values=column).to_numpy()
        for key, part in frame.groupby(keys)
    }


@pytest.mark.parametrize("block_rows", [4096, 15, 2])
def test_every_curve_of_every_image_equals_brute_force(toy, tmp_path, expected, block_rows):
    """One image per subset, so that the table has the images; blocks of all, two classes, and one."""
    (frame, _), _ = run(toy, tmp_path, subsets=21, block_rows=block_rows)
    found = curves(frame)
    assert set(found) == {tuple(key) for key in expected}
    for key, y in expected.items():
        np.testing.assert_allclose(found[tuple(key)], y, rtol=0, atol=1e-10, err_msg=str(key))
    assert frame["y_std"].isna().all() and (frame["n"] == 1).all()


@pytest.mark.parametrize("block_rows", [4096, 8])
def test_cells_are_every_third_image_of_a_class(toy, tmp_path, expected, block_rows):
    """Images are numbered across classes: 7 per class, so that subsets start elsewhere in each."""
    (frame, _), _ = run(toy, tmp_path, subsets=3, block_rows=block_rows)
    means, spreads, counts = (curves(frame, name) for name in ("y", "y_std", "n"))
    number = np.arange(21)
    for key, y in expected.items():
        for cell in range(9):
            own = y[(number // 7 == cell // 3) & (number % 3 == cell % 3)]
            np.testing.assert_allclose(means[tuple(key)][cell], own.mean(axis=0), atol=1e-10)
            np.testing.assert_allclose(spreads[tuple(key)][cell], own.std(axis=0, ddof=1), atol=1e-8)
            assert (counts[tuple(key)][cell] == len(own)).all()
    subset = curve(frame).groupby(CURVE)
    for key, y in expected.items():
        np.testing.assert_allclose(subset.get_group(tuple(key))["y"], y.mean(axis=0), atol=1e-10)


def test_global_and_reference_deletion_share_their_random_orders(toy, tmp_path):
    (frame, _), _ = run(toy, tmp_path, subsets=21)
    found = curves(frame)
    for method in ("random", "logit_lens"):
        first, second = (found[f"{p}_deletion", method, "frozen", False] for p in ("global", "reference"))
        np.testing.assert_array_equal(first, second)
    orders = drawn(toy)
    assert orders.by_class.shape == (3, CLASS_ORDERS, 6) and orders.active.shape == (21, IMAGE_ORDERS, K)
    assert len(np.unique(orders.by_class[0], axis=0)) > 1


def test_a_random_order_of_a_class_is_of_what_fires_on_it(toy):
    chosen, orders = choice(toy), drawn(toy).by_class
    for c in range(3):
        rows = chosen.rows[chosen.label == c]
        firing = set(toy.indices[rows][toy.values[rows] != 0].tolist())
        for order in orders[c].tolist():
            assert len(set(order)) == len(order) == 6 < len(firing) < M and set(order) <= firing


def test_a_class_that_little_fires_on_has_short_random_orders():
    values, indices = np.array([[1.0, 0], [2, 3], [0, 0]]), np.array([[4, 0], [4, 2], [0, 0]])
    images = Images(np.zeros((3, 2)), values, indices, np.arange(3))
    orders = random_orders(images, np.array([0, 0, 1]), 9, 3, 0).by_class
    assert {tuple(order) for order in orders[0].tolist()} == {(4, 2, -1), (2, 4, -1)}
    assert (orders[1] == -1).all()


def test_the_images_are_the_first_readable_ones_of_the_first_classes(toy):
    chosen = choice(toy)
    assert chosen.classes.tolist() == [0, 1, 2]
    assert 21 not in chosen.rows and not toy.valid[21]
    for c in range(3):
        rows = chosen.rows[chosen.label == c]
        usable = [r for r in range(toy.rows) if toy.labels[r] == c and toy.valid[r]]
        assert rows.tolist() == usable[:7]
    assert len(set(chosen.reference)) == 9 and toy.valid[chosen.reference].all()
    assert (toy.labels[chosen.reference] >= 0).all()


def test_the_edge_cases_are_in_the_sample(toy):
    active = (toy.values[choice(toy).rows] != 0).sum(axis=1)
    assert 0 in active and 1 in active and active.max() == K < SETTINGS["steps"]
    assert not (toy.indices[toy.values != 0] == M - 1).any()


def test_curves_start_at_the_output_and_are_flat_when_no_latent_is_left(toy, tmp_path, expected):
    (frame, _), _ = run(toy, tmp_path, subsets=21)
    for (protocol, _, _, restricted), y in curves(frame).items():
        assert (y[0] == y[0, 0]).all()  # nothing is active
        if protocol.startswith("local") and restricted:
            np.testing.assert_array_equal(y[1, 1:], y[1, 1])
    assert expected


def test_rows_are_those_of_the_contract(toy, tmp_path):
    (frame, stamp), _ = run(toy, tmp_path, subsets=4)
    local = frame[frame["protocol"].str.startswith("local")]
    rest = frame[~frame["protocol"].str.startswith("local")]
    restricted = local[local["restrict_to_active"]]
    assert set(restricted["method"]) == {*METHODS, "greedy"}
    assert set(local[~local["restrict_to_active"]]["method"]) == {"logit_lens", "random"}
    assert set(rest["method"]) == set(METHODS) and not rest["restrict_to_active"].any()
    assert len(frame) == (2 * 10 * (K + 1) + 2 * 7 * 7) * 2 * (3 * 4)
    assert local["step"].max() == K and rest["step"].max() == 6  # nothing is left after K
    assert set(frame["class_id"]) == {2, 3, 5} and set(frame["subset"]) == {0, 1, 2, 3}
    assert set(stamp.inputs) == {"index", "embeddings", "codes", "sae", "head", "text", "weights"}
    assert stamp.params == {**SETTINGS, "subsets": 4, "split": "train"}
    schema = pq.read_schema(tmp_path / "faithfulness.parquet")
    names = {"double": "float64"}
    assert tuple((f.name, names.get(str(f.type), str(f.type))) for f in schema) == FAITHFULNESS.columns


def test_the_summary(toy, tmp_path):
    _, (record, stamp) = run(toy, tmp_path, subsets=4)
    active = (toy.values[choice(toy).rows] != 0).sum(axis=1)
    assert record["mean_active"] == pytest.approx(active.mean())
    sizes = {"images": 21, "classes": 3, "steps": 6, "subsets": 4, "reference": 9, "k": K, "path_steps": 4}
    assert {name: record[name] for name in sizes} == sizes
    assert 0 < record["beta_error"] < 1
    assert stamp.kind == "faithfulness_summary"
    _, (finer, _) = run(toy, tmp_path, subsets=4, path_steps=200)
    for term in ("frozen", "dropped"):
        assert finer["completeness"][term] < record["completeness"][term] / 20


def test_sizes_beyond_the_data_set_use_what_there_is(toy, tmp_path):
    sizes = {"classes": 100, "per_class": 50, "reference": 5000}
    (frame, _), (record, _) = run(toy, tmp_path, subsets=9, **sizes)
    usable = int((toy.valid & (toy.labels >= 0)).sum())
    assert (record["images"], record["classes"], record["reference"]) == (usable, 4, usable)
    assert frame.drop_duplicates(["class_id", "subset"])["n"].sum() == usable


def test_every_subset_has_an_image(toy, tmp_path):
    (frame, _), (record, _) = run(toy, tmp_path, subsets=22)
    assert frame["subset"].nunique() == record["images"] == 21


def test_one_image_is_enough(toy, tmp_path):
    (frame, _), (record, _) = run(toy, tmp_path, subsets=1, classes=1, per_class=1, reference=1)
    assert record["images"] == 1 and frame["y"].notna().all()
    assert record["mean_active"] == 0 and record["completeness"] == {"frozen": None, "dropped": None}
    assert json.loads((tmp_path / "faithfulness.json").read_text())["beta_error"] is None


def test_the_same_seed_gives_the_same_table_and_another_one_other_random_orders(toy, tmp_path):
    (first, _), _ = run(toy, tmp_path, subsets=4)
    (again, _), _ = run(toy, tmp_path, subsets=4)
    (other, _), _ = run(toy, tmp_path, subsets=4, seed=6)
    assert first.equals(again)
    changed = (first["y"] - other["y"]).abs().groupby([first["protocol"], first["method"]]).max() > 1e-6
    assert changed["local_deletion", "random"] and changed["global_deletion", "random"]
    assert changed["reference_deletion", "energy"] and not changed["local_deletion", "energy"]


def test_artifacts_of_other_runs_are_refused(toy, tmp_path):
    other = tmp_path / "sae.safetensors"
    sae = Sae(toy.decoder, np.ones(M, np.float32), toy.decoder, toy.bias, K)
    save_sae(other, sae, {}, {"encoder": WEIGHTS})
    with pytest.raises(RelianceError, match="same SAE"):
        run(toy, tmp_path / "out", subsets=4, files=toy.explained._replace(sae=other))
    with pytest.raises(RelianceError, match="split"):
        run(toy, tmp_path / "out", subsets=4, split="test")


def test_blocks_are_of_whole_classes():
    label = np.repeat([0, 1, 2, 3], [3, 2, 4, 1])
    found = [(b.start, b.stop) for b in class_blocks(label, 5)]
    assert found == [(0, 5), (5, 10)]
    assert [(b.start, b.stop) for b in class_blocks(label, 1)] == [(0, 3), (3, 5), (5, 9), (9, 10)]
    assert [(b.start, b.stop) for b in class_blocks(label, 100)] == [(0, 10)]


def test_the_defaults_are_the_paper_s():
    parameters = inspect.signature(faithfulness).parameters
    assert parameters["sampling"].default == Sampling(100, 50, 500, 9, 0)
    assert [parameters[name].default for name in ("steps", "path_steps")] == [10, 10]
    assert Path(inspect.getsourcefile(faithfulness)).name == "table.py"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_table(toy, tmp_path):
    (cpu, _), _ = run(toy, tmp_path, subsets=4)
    (gpu, _), _ = run(toy, tmp_path, subsets=4, device="cuda")
    np.testing.assert_allclose(cpu["y"], gpu["y"], rtol=0, atol=1e-10)
