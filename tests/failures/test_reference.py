import numpy as np
import pandas as pd
import pytest

from reliance.failures.reference import reference


def expectations(*rows):
    """Rows (class, component, n, n_active, mean, std); component -1 has y_mean and y_std instead."""
    names = ["class_id", "component", "n", "n_active", "mean", "std", "y_mean", "y_std"]
    full = [(*r[:4], np.nan, np.nan, *r[4:]) if r[1] < 0 else (*r, np.nan, np.nan) for r in rows]
    return pd.DataFrame(full, columns=names)


FRAME = expectations(
    (4, -1, 100, 100, 0.3, 0.02),
    (4, 0, 100, 50, 0.01, 0.1),
    (4, 1, 100, 5, 0.02, 0.2),  # 5 % of the class: counts
    (4, 2, 100, 4, 0.03, 9.0),  # too rare
    (4, 3, 100, 80, 0.04, 0.3),
    (6, -1, 50, 50, 0.2, 0.01),
    (6, 1, 50, 2, 0.05, 0.5),  # nothing common: takes the other classes' s0^2
    (8, -1, 1, 1, 0.1, np.nan),
    (8, 1, 1, 1, 0.1, np.nan),
)
IDS = np.array([4, 6, 8, 9])


def test_sigma_by_hand():
    known = reference(FRAME, IDS, 5, "float64")
    s0 = 0.2**2  # median of .01, .04, .09
    for row, component, n, variance in (
        (0, 0, 100, 0.01),
        (0, 2, 100, 81.0),
        (0, 4, 100, 0.0),  # never fires
        (1, 1, 50, 0.25),
        (1, 0, 50, 0.0),
    ):
        expected = np.sqrt((10 * s0 + (n - 1) * variance) / (n + 9))
        assert known.sigma[row, component] == pytest.approx(expected, rel=1e-12)
    assert known.mean[0].tolist() == [0.01, 0.02, 0.03, 0.04, 0.0]
    assert known.n_active[0].tolist() == [50, 5, 4, 80, 0]
    assert known.y_mean[:2].tolist() == [0.3, 0.2] and known.n.tolist() == [100, 50, 1, 0]


def test_classes_with_fewer_than_two_images_are_not_usable():
    known = reference(FRAME, IDS, 5, "float64")
    assert known.usable.tolist() == [True, True, False, False]
    assert np.isnan(known.sigma[2:]).all()


def test_the_fallback_is_the_median_over_classes():
    frame = pd.concat(
        [
            expectations((c, -1, 10, 10, 0.1, 0.1), (c, 0, 10, 10, 0.0, std))
            for c, std in ((1, 0.1), (2, 0.2), (3, 0.6))
        ]
        + [expectations((4, -1, 10, 10, 0.1, 0.1))]
    )
    known = reference(frame, np.array([1, 2, 3, 4]), 2, "float64")
    assert known.sigma[3, 0] == pytest.approx(np.sqrt(10 * 0.2**2 / 19))


def test_no_spread_anywhere_leaves_nothing_usable():
    frame = expectations((1, -1, 10, 10, 0.1, 0.1), (1, 0, 10, 10, 0.5, 0.0))
    assert not reference(frame, np.array([1]), 2, "float32").usable.any()
