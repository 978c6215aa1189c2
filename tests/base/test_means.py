import numpy as np
import pytest
from scipy import stats

from reliance.base.means import interval, mean_and_error, wilson


def test_mean_and_error_over_cases():
    mean, error, n = mean_and_error(np.array([1.0, 3.0, np.nan]))
    assert (mean, error, n) == (2.0, 1.0, 2)  # std(ddof=1) = sqrt(2), over sqrt(2)
    assert np.isnan(mean_and_error(np.array([5.0]))[1])
    assert mean_and_error(np.array([np.nan]))[2] == 0


def test_interval_is_students():
    values = np.array([0.1, 0.3, 0.2, 0.25])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert interval(values) == pytest.approx((values.mean(), low, high))


@pytest.mark.parametrize(("wins", "count"), [(0, 20), (20, 20), (7, 20), (1, 3), (500, 1000)])
def test_intervals_of_shares_are_wilsons(wins, count):
    found = stats.binomtest(wins, count).proportion_ci(method="wilson")
    share, low, high = wilson(wins, count)
    np.testing.assert_allclose([share, low, high], [wins / count, found.low, found.high], atol=1e-6)
    assert np.isnan(wilson(0, 0)).all()
    assert (wins > 0 or low == 0) and (wins < count or high == 1)
