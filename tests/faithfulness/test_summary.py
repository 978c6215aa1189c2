"""Means and errors by hand."""

import numpy as np
import pandas as pd
import pytest

from reliance.faithfulness.protocols import Key
from reliance.faithfulness.summary import curve, mean_y
from reliance.faithfulness.table import Moments

KEY = Key("local_deletion", "energy", "frozen", True)


def table(y, subsets):
    """Rows of the table for curves y [n, S + 1]."""
    moments = Moments(subsets, y.shape[1] - 1)
    moments.add(y, np.arange(len(y)) % subsets)
    return moments.rows(KEY)


def test_the_error_of_known_subsets():
    """Means over steps 1, 2, 3 and 6 of four subsets: std sqrt(14/3), SEM half of it."""
    means = np.array([1.0, 2, 3, 6])
    frame = table(np.stack([means + 1, means - 1], 1), 4)
    row = mean_y(frame).iloc[0]
    assert tuple(row.iloc[:4]) == tuple(KEY)
    assert row["mean_y"] == 3.0
    assert row["sem"] == pytest.approx(np.sqrt(14 / 3) / 2)
    steps = curve(frame)
    assert steps["y"].tolist() == [4.0, 2.0] and steps["n"].tolist() == [4, 4]
    np.testing.assert_allclose(steps["sem_subsets"], np.sqrt(14 / 3) / 2)
    np.testing.assert_allclose(steps["sem_samples"], np.sqrt(14 / 3) / 2)


def test_subsets_of_unequal_size_weigh_by_their_images():
    y = np.random.default_rng(0).normal(size=(11, 5))
    frame = table(y, 3)  # 4, 4 and 3 images
    steps = curve(frame)
    np.testing.assert_allclose(steps["y"], y.mean(axis=0))
    np.testing.assert_allclose(steps["sem_samples"], y.std(axis=0, ddof=1) / np.sqrt(11))
    parts = np.stack([y[i::3].mean(axis=0) for i in range(3)])
    np.testing.assert_allclose(steps["sem_subsets"], parts.std(axis=0, ddof=1) / np.sqrt(3))
    row = mean_y(frame).iloc[0]
    assert row["mean_y"] == pytest.approx(y.mean())
    assert row["sem"] == pytest.approx(parts.mean(axis=1).std(ddof=1) / np.sqrt(3))


def test_one_image_and_one_subset_have_no_error():
    steps = curve(table(np.array([[0.5, 0.25]]), 1))
    assert steps["y"].tolist() == [0.5, 0.25]
    assert steps[["sem_subsets", "sem_samples"]].isna().all(axis=None)
    assert np.isnan(mean_y(table(np.array([[0.5, 0.25], [1, 0]]), 1))["sem"].iloc[0])


def test_subsets_of_one_image_still_have_an_error_over_images():
    y = np.array([[1.0], [3.0], [5.0]])
    assert curve(table(y, 3))["sem_samples"].iloc[0] == pytest.approx(2 / np.sqrt(3))


def test_curves_are_kept_apart():
    frames = [table(np.full((2, 2), i), 2).assign(error_term=e) for i, e in enumerate(("frozen", "dropped"))]
    found = mean_y(pd.concat(frames)).set_index("error_term")["mean_y"]
    assert found["frozen"] == 0 and found["dropped"] == 1


def test_moments_of_blocks_are_those_of_the_whole():
    y, subset = np.random.default_rng(1).normal(size=(20, 3)), np.arange(20) % 3
    whole, parts = Moments(3, 2), Moments(3, 2)
    whole.add(y, subset)
    for rows in (slice(0, 1), slice(1, 9), slice(9, 20)):
        parts.add(y[rows], subset[rows])
    pd.testing.assert_frame_equal(whole.rows(KEY), parts.rows(KEY))
    found = whole.rows(KEY)
    first = found[found["subset"] == 0]
    np.testing.assert_allclose(first["y"], y[::3].mean(axis=0))
    np.testing.assert_allclose(first["y_std"], y[::3].std(axis=0, ddof=1))
