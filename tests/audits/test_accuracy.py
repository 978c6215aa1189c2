"""Accuracies of probes and their errors."""

import numpy as np
import pytest

from reliance.audits.accuracy import accuracy, accuracy_rows
from reliance.audits.drops import drop_of
from reliance.audits.files import Probes


def test_accuracy_and_its_binomial_error():
    assert accuracy(np.array([True, True, True, False])) == (0.75, np.sqrt(0.75 * 0.25 / 4))
    assert accuracy(np.ones(5, bool)) == (1.0, 0.0)
    assert np.isnan(accuracy(np.zeros(0, bool))).all()


def test_rows_per_probe_change_and_class():
    """Two probes in the plane: the sign of the first coordinate, and of the first plus 0.5."""
    probes = Probes(
        np.array([[1, 0], [1, 0]], np.float32),
        np.array([0, 5], np.float32),
        np.array([0, 0.5]),
        np.zeros(2, np.float32),
        10.0,
    )
    unit = np.array([[1, 0], [-0.4, 0.9], [-1, 0], [0.6, 0.8]], np.float32)
    positive = np.array([True, True, False, False])
    found = accuracy_rows(probes, {"none": unit, "increased": -unit}, positive)
    assert len(found) == 2 * 2 * 2
    by = found.set_index(["probe", "alpha", "change", "positive"])
    assert by.loc[("plain", 0.0, "none", True), "accuracy"] == 0.5
    assert by.loc[("robust", 0.5, "none", True), "accuracy"] == 1.0
    assert by.loc[("robust", 0.5, "none", False), "accuracy"] == 0.5
    assert by.loc[("plain", 0.0, "increased", False), "accuracy"] == 0.5
    assert by.loc[("plain", 0.0, "none", True), "sem"] == pytest.approx(np.sqrt(0.125))
    assert set(found["n"]) == {2}
    assert (
        by.loc[("plain", 0.0, "none", True), "paired_sem"]
        != by.loc[("plain", 0.0, "none", True), "paired_sem"]
    )


def test_the_paired_error_is_that_of_the_differences():
    """Right before: 1 1 1 0; right after: 0 1 0 1. Differences 1 0 1 -1: mean 1/4, variance 11/16."""
    probes = Probes(
        np.array([[1, 0]], np.float32), np.zeros(1, np.float32), np.zeros(1), np.zeros(2, np.float32), 1.0
    )
    before, after = (np.array([[x, 0] for x in xs], np.float32) for xs in ((1, 1, 1, -1), (-1, 1, -1, 1)))
    found = accuracy_rows(probes, {"none": before, "increased": after}, np.ones(4, bool))
    drop = drop_of(found, "plain", 0.0, True)
    assert drop.drop == pytest.approx(1 / 4)
    assert drop.paired_sem == pytest.approx(np.sqrt(11 / 16 / 4))


def test_log_odds_have_the_factor():
    probes = Probes(
        np.array([[2, 0]], np.float32), np.array([1], np.float32), np.zeros(1), np.zeros(2, np.float32), 10.0
    )
    np.testing.assert_allclose(probes.log_odds(np.array([[0.6, 0.8]], np.float32)), [[13.0]])
