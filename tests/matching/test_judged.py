"""What dictionaries are judged by, against loops over images and classes."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from reliance.matching.judged import (
    LEAST,
    SPECIFIC,
    Coded,
    absorption,
    accuracy,
    largest,
    pursuit,
    reconstruction,
)


def slow_absorption(code: np.ndarray, classes: np.ndarray) -> float:
    m = code.shape[1]
    found = []
    for c in sorted(set(classes)):
        own, rest = classes == c, classes != c
        told = [
            (code[own, j] != 0).mean() - ((code[rest, j] != 0).mean() if rest.any() else 0) for j in range(m)
        ]
        main = int(np.argmax(told))
        if told[main] <= 0:
            continue
        fires = [(code[:, j] != 0).sum() for j in range(m)]
        special = [
            j
            for j in range(m)
            if j != main and fires[j] >= LEAST and (code[own, j] != 0).sum() >= SPECIFIC * fires[j]
        ]
        absorbed = [code[i, main] == 0 and any(code[i, j] != 0 for j in special) for i in np.flatnonzero(own)]
        found.append(np.mean(absorbed))
    return float(np.mean(found))


@pytest.mark.parametrize("seed", range(5))
def test_absorption_is_that_of_a_look_at_every_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(4), 12)
    code = (rng.random((48, 10)) < 0.04).astype(np.float32)
    for c in range(4):
        code[classes == c, c] = rng.random(12) < 0.7
        code[(classes == c) & (code[:, c] == 0), 4 + c] = 1
    assert absorption(csr_array(code), classes) == pytest.approx(slow_absorption(code, classes))
    assert absorption(csr_array(code), classes) > 0


def test_nothing_is_absorbed_by_one_unit_per_class() -> None:
    classes = np.repeat(np.arange(3), 5)
    assert absorption(csr_array(np.eye(3, dtype=np.float32)[classes]), classes) == 0
    assert np.isnan(absorption(csr_array((15, 3), dtype=np.float32), classes))


def test_the_largest_coordinates_are_kept() -> None:
    values = np.array([[3.0, -4.0, 1.0], [0.0, 2.0, -1.0]])
    np.testing.assert_array_equal(largest(values, 2), [[3, -4, 0], [0, 2, -1]])
    np.testing.assert_array_equal(largest(values, 5), values)


def test_a_pursuit_takes_the_best_word_step_by_step() -> None:
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((9, 5)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    target = rng.standard_normal((7, 5)).astype(np.float32)
    found = pursuit(target, atoms, 3).toarray()
    for i, x in enumerate(target):
        left, weights = x.astype(float), np.zeros(9)
        for _ in range(3):
            best = int(np.argmax(atoms @ left))
            gain = max(float(atoms[best] @ left), 0.0)
            weights[best] += gain
            left = left - gain * atoms[best]
        np.testing.assert_allclose(found[i], weights, atol=1e-5)
    assert (found >= 0).all()


def test_reconstruction_and_accuracy() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 4)).astype(np.float32)
    code = csr_array(np.eye(6, dtype=np.float32))
    found = reconstruction(Coded(x, np.tile(x.mean(0), (6, 1)), code))
    assert found["explained_variance"] == pytest.approx(0, abs=1e-6)
    assert found["l0"] == 1
    assert reconstruction(Coded(x, x, code))["explained_variance"] == 1
    text = np.eye(4, dtype=np.float32) * 3
    assert accuracy(text[[0, 1, 2, 3]] * 2, text, np.array([0, 1, 2, 0])) == 0.75
