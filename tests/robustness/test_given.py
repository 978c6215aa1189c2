"""A classifier of others in the place of the probe that is trained here."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.encoders.head import project
from reliance.images.tables import CLASSES
from reliance.robustness.given import take_probe
from reliance.robustness.inputs import open_split
from reliance.robustness.probes import load_probe
from reliance.robustness.scores import open_scorers, score_rows

from .world import P, World

NAMES = ("cat", "dog", "cow")


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    frame = pd.DataFrame({"class_id": range(3), "folder": NAMES, "short_name": NAMES, "full_name": NAMES})
    world.table = tmp_path / "classes.parquet"
    write_table(world.table, frame.assign(definition=""), CLASSES, {}, {})
    return world


def take(world, weight, bias, **settings):
    np.savez(world.folder / "mine.npz", weight=weight, bias=bias, **settings.pop("arrays", {}))
    files = {"classes": world.table, "embeddings": world.manifests["test"], "probe": world.probe}
    return take_probe(file=world.folder / "mine.npz", **files, **settings)


def test_the_probe_of_a_file_is_our_own_where_the_file_is(world):
    world.fit()
    own, _ = load_probe(world.probe)
    take(world, own.weight, own.bias, scale=10.0)
    given, stamp = load_probe(world.probe)
    np.testing.assert_array_equal(given.weight, own.weight)
    assert given.normalised and given.scale == 10 and stamp.params["given"] == "mine.npz"
    assert {"index", "weights", "embeddings"} <= set(stamp.inputs)


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
@pytest.mark.parametrize("normalised", [True, False])
def test_scores_are_those_of_the_classifier_itself(world, kind, normalised):
    g = np.random.default_rng(5)
    weight, bias = g.normal(size=(3, P)), g.normal(size=3)
    order = [2, 0, 1]
    names = {"classes": np.array([NAMES[i] for i in order])}
    settings = {"kind": kind, "normalised": normalised, "scale": 0.5}
    take(world, weight[order], bias[order], arrays=names, **settings)
    opened = open_split(world.index, world.manifests["train"], "train")
    scorers = open_scorers(world.texts, world.probe, opened)
    found = score_rows(scorers, opened, opened.readable, 7)[-1]
    z = project(world.x["train"].astype(np.float32), world.head)[opened.readable].astype(np.float64)
    if normalised:
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
    outputs = (0.5 * z @ weight.T + bias).T
    if kind == "logistic":
        outputs = np.stack([outputs[c] - logsumexp(np.delete(outputs, c, 0), axis=0) for c in range(3)])
    np.testing.assert_allclose(found, outputs, atol=2e-3)
    assert scorers.given == "mine.npz"


def test_a_classifier_of_another_width_is_refused(world):
    with pytest.raises(RelianceError, match=r"image embeddings of 5 \(the width of x"):
        take(world, np.zeros((3, P + 1)), np.zeros(3))
    with pytest.raises(RelianceError, match="2 rows in"):
        take(world, np.zeros((2, P)), np.zeros(2))


def test_one_row_is_kept_as_it_is(world):
    take(world, np.ones((1, P)), np.ones(1))
    assert load_probe(world.probe)[0].weight.shape == (1, P)
    assert len(read_table(world.table, CLASSES).frame) == 3
