"""Means and errors by hand."""

import numpy as np
import pandas as pd
import pytest

from reliance.faithfulness import cells
from reliance.faithfulness.summary import CURVE, by_class, curve, mean_y

KEY = ("local_deletion", "energy", "frozen", True)


def table(y, subsets, classes=1):
    """Rows of the table for curves y [n, S + 1]; the first images are of the first class, and so on."""
    number = np.arange(len(y))
    cell = number * classes // len(y) * subsets + number % subsets
    return cells.table({KEY: [cells.by_cell(y, cell)]}, CURVE, 10 * np.arange(classes), subsets)


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


@pytest.mark.parametrize("classes", [1, 3, 11])
def test_subsets_of_unequal_size_weigh_by_their_images_whatever_their_classes(classes):
    y = np.random.default_rng(0).normal(size=(11, 5))
    frame = table(y, 3, classes)  # 4, 4 and 3 images
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


def test_a_class_is_the_mean_over_its_images():
    y = np.random.default_rng(0).normal(size=(10, 3))
    found = by_class(table(y, 4, classes=2))  # 5 images of each in 4 subsets
    assert found["class_id"].unique().tolist() == [0, 10] and (found["n"] == 5).all()
    np.testing.assert_allclose(
        found.pivot(index="class_id", columns="step", values="y"), [y[:5].mean(0), y[5:].mean(0)]
    )


def test_cells_are_gathered_in_any_order_and_empty_ones_have_no_row():
    y, cell = np.random.default_rng(1).normal(size=(20, 3)), np.arange(20) * 7 % 5
    cell[cell == 3] = 8
    found = cells.by_cell(y, cell)
    assert found.cell.tolist() == [0, 1, 2, 4, 8] and found.n.tolist() == [4] * 5
    for i, c in enumerate(found.cell):
        np.testing.assert_allclose(found.mean[i], y[cell == c].mean(axis=0))
        np.testing.assert_allclose(found.std[i], y[cell == c].std(axis=0, ddof=1))
    parts = [cells.by_cell(y[rows], cell[rows]) for rows in (cell < 2, cell >= 2)]
    whole = cells.table({KEY: [found]}, CURVE, np.array([3, 5]), 5)
    pd.testing.assert_frame_equal(cells.table({KEY: parts}, CURVE, np.array([3, 5]), 5), whole)
    assert whole[["class_id", "subset"]].drop_duplicates().to_numpy().tolist() == [
        [3, 0],
        [3, 1],
        [3, 2],
        [3, 4],
        [5, 3],
    ]
