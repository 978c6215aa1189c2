"""Means with their errors, in the two forms that figures and findings use."""

import numpy as np


def mean_and_error(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard error of the mean std(ddof=1)/sqrt(n), and n over the values that are not nan.

    The error of one value is nan, and so is the mean of none.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    n = len(known)
    if n == 0:
        return np.nan, np.nan, 0
    error = float(np.std(known, ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return float(known.mean()), error, n


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval by Student's t; nan ends for fewer than two values."""
    from scipy.special import stdtrit

    mean, error, n = mean_and_error(values)
    reach = float(stdtrit(n - 1, 0.975)) * error if n > 1 else np.nan
    return mean, mean - reach, mean + reach


def wilson(wins: int, count: int) -> tuple[float, float, float]:
    """Share of wins and the ends of its 95 % interval by Wilson; nan for none of none.

    The interval is inside 0..1 and not empty at either end, where a share has no spread to go by.
    """
    if count == 0:
        return np.nan, np.nan, np.nan
    z, share = 1.959964, wins / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    low, high = 0.0 if wins == 0 else middle - reach, 1.0 if wins == count else middle + reach  # exactly
    return share, float(low), float(high)
