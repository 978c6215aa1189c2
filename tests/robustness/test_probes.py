import logging
import warnings

import numpy as np
import pytest
from safetensors import safe_open
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, Ridge

from reliance.base.errors import RelianceError
from reliance.robustness.probes import fit_logistic, fit_ridge, load_probe

from .world import WEIGHTS, World, unit64


def data(classes, n=90, p=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = rng.normal(size=(classes, p))[labels] + rng.normal(size=(n, p))
    return features.astype(np.float32), labels


def by_hand(features, labels, classes, c):
    """The objective of the docstring, minimised by scipy without sklearn."""
    n, p = features.shape

    def loss(theta):
        weight, bias = theta[: classes * p].reshape(classes, p), theta[classes * p :]
        logits = features @ weight.T + bias
        entropy = logsumexp(logits, axis=1) - logits[np.arange(n), labels]
        return c * entropy.sum() + 0.5 * (weight**2).sum()

    theta = minimize(
        loss, np.zeros(classes * (p + 1)), method="L-BFGS-B", options={"maxiter": 3000, "ftol": 1e-14}
    ).x
    return theta[: classes * p].reshape(classes, p), theta[classes * p :]


@pytest.mark.parametrize("c", [1.0, 0.1])
def test_fit_minimises_the_stated_objective(c):
    features, labels = data(3)
    fit = fit_logistic(features, labels, c=c, max_iter=2000, tolerance=1e-7)
    weight, bias = by_hand(features.astype(np.float64), labels, 3, c)
    np.testing.assert_allclose(fit.weight, weight, atol=2e-3)
    np.testing.assert_allclose(fit.bias - fit.bias.mean(), bias - bias.mean(), atol=2e-3)
    assert fit.warnings == ()


def test_two_classes_are_two_rows_with_the_same_difference_of_logits():
    features, labels = data(2)
    fit = fit_logistic(features, labels, c=1.0, max_iter=2000, tolerance=1e-7)
    model = LogisticRegression(C=1.0, tol=1e-7).fit(features, labels)
    assert fit.weight.shape == (2, 4)
    np.testing.assert_allclose(fit.weight[1], model.coef_[0] / 2, rtol=1e-5)
    np.testing.assert_array_equal(fit.weight[0], -fit.weight[1])
    logits = features @ fit.weight.T + fit.bias
    np.testing.assert_allclose(
        logits[:, 1] - logits[:, 0], model.decision_function(features), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("c", [1.0, 0.05])
def test_ridge_is_the_linear_regression_on_one_hot_classes(classes, c):
    features, labels = data(classes)
    features += 3  # the intercept is not penalised
    fit = fit_ridge(features, labels, c=c, block_rows=7)
    model = Ridge(alpha=1 / c).fit(features.astype(np.float64), np.eye(classes)[labels])
    np.testing.assert_allclose(fit.weight, model.coef_, atol=1e-6)
    np.testing.assert_allclose(fit.bias, model.intercept_, atol=1e-6)
    outputs = features @ fit.weight.T + fit.bias
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_the_kind_of_a_probe_is_stored(tmp_path):
    world = World(tmp_path)
    logistic = world.fit()
    assert load_probe(world.probe)[0].kind == "logistic"
    ridge = world.fit(kind="ridge", block_rows=7)
    probe, _ = load_probe(world.probe)
    assert (probe.kind, ridge.id != logistic.id) == ("ridge", True)
    features = (10 * unit64(world.x["test"], world.head)).astype(np.float64)
    model = Ridge(alpha=1.0).fit(features, np.eye(3)[world.labels["test"]])
    np.testing.assert_allclose(probe.weight, model.coef_, atol=1e-4)


def test_a_solver_that_stops_early_is_logged_and_recorded(caplog):
    features, labels = data(3)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_logistic(features, labels, c=1.0, max_iter=2, tolerance=1e-7)
    assert fit.iterations == 2
    assert "failed to converge" in fit.warnings[0]
    assert "failed to converge" in caplog.text


def test_stored_probe_reproduces_the_logits(tmp_path):
    world = World(tmp_path)
    stamp = world.fit(threads=1)
    probe, loaded = load_probe(world.probe)
    assert loaded == stamp
    assert stamp.inputs["weights"] == WEIGHTS
    assert probe.scale == 10
    unit = unit64(world.x["test"], world.head)
    weight, bias = by_hand(10 * unit, world.labels["test"], 3, 1.0)
    logits = 10 * unit @ probe.weight.T + probe.bias
    expected = 10 * unit @ weight.T + bias
    gap = (logits - logits.mean(axis=1, keepdims=True)) - (expected - expected.mean(axis=1, keepdims=True))
    assert np.abs(gap).max() < 0.02
    with safe_open(world.probe, framework="numpy") as file:
        assert file.metadata()["converged"] == "true"
        assert int(file.metadata()["iterations"]) > 3


def test_an_early_stop_is_recorded_in_the_file(tmp_path):
    world = World(tmp_path)
    world.fit(max_iter=1)
    with safe_open(world.probe, framework="numpy") as file:
        assert file.metadata()["converged"] == "false"
        assert "converge" in file.metadata()["warnings"]


def test_the_same_settings_give_the_same_probe_and_others_another(tmp_path):
    world = World(tmp_path)
    assert world.fit(block_rows=7).id == world.fit().id
    assert world.fit(c=0.5).id != world.fit().id
    assert world.fit(scale=5.0).id != world.fit().id


def test_unreadable_images_do_not_count(tmp_path):
    world = World(tmp_path)
    before = world.fit().id
    world.x["test"][0] = 60.0
    world.valid["test"][0] = False
    world.manifests["test"] = world.embed(
        "test", world.x["test"], world.valid["test"], folder=tmp_path / "again"
    )
    assert world.fit().id != before
    unit, labels = unit64(world.x["test"], world.head)[1:], world.labels["test"][1:]
    fit = fit_logistic((10 * unit).astype(np.float32), labels, c=1.0, max_iter=2000, tolerance=1e-6)
    np.testing.assert_allclose(load_probe(world.probe)[0].weight, fit.weight, atol=5e-3)


def test_a_class_without_training_images_is_an_error(tmp_path):
    world = World(tmp_path)
    world.valid["test"][world.labels["test"] == 1] = False
    world.manifests["test"] = world.embed(
        "test", world.x["test"], world.valid["test"], folder=tmp_path / "again"
    )
    with pytest.raises(RelianceError, match="first: class 1"):
        world.fit()


def test_a_single_class_is_an_error(tmp_path):
    with pytest.raises(RelianceError, match="at least two classes"):
        World(tmp_path, classes=1).fit()


def test_embeddings_of_another_index_are_refused(tmp_path):
    world = World(tmp_path)
    world.manifests["test"] = world.embed(
        "test", world.x["test"], world.valid["test"], index_id="0" * 64, folder=tmp_path / "again"
    )
    with pytest.raises(RelianceError, match="same index"):
        world.fit()


def test_embeddings_of_another_split_are_refused(tmp_path):
    world = World(tmp_path)
    world.manifests["test"] = world.embed(
        "train", world.x["test"][:-1], world.valid["test"][:-1], folder=tmp_path / "o"
    )
    with pytest.raises(RelianceError, match="one row per image"):
        world.fit()


def test_a_damaged_probe_is_refused(tmp_path):
    (tmp_path / "probe.safetensors").write_bytes(b"x")
    with pytest.raises(RelianceError, match="probe"):
        load_probe(tmp_path / "probe.safetensors")


def test_a_probe_with_a_flipped_bit_is_refused(tmp_path):
    world = World(tmp_path)
    world.fit(threads=1)
    data = bytearray(world.probe.read_bytes())
    data[-1] ^= 1
    world.probe.write_bytes(data)
    with pytest.raises(RelianceError, match="not those its stamp names"):
        load_probe(world.probe)
