import numpy as np
import pytest
from scipy import stats

from reliance.base.means import interval, mean_and_error


def test_mean_and_error_over_cases():
    mean, error, n = mean_and_error(np.array([1.0, 3.0, np.nan]))
    assert (mean, error, n) == (2.0, 1.0, 2)  # std(ddof=1) = sqrt(2), over sqrt(2)
    assert np.isnan(mean_and_error(np.array([5.0]))[1])
    assert mean_and_error(np.array([np.nan]))[2] == 0


def test_interval_is_students():
    values = np.array([0.1, 0.3, 0.2, 0.25])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert interval(values) == pytest.approx((values.mean(), low, high))
