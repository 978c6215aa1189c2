"""How surprising a number of flagged images is: p-values with a pooled reference, and false discovery rates.

The null hypothesis of a pair (class, component): images of other classes that score like the class
exceed the line z > 3 at the same rate r as images of the class do. The n images of the class alone know r
only down to about 1/n, too coarsely for thousands of other images. So what rates there are is learned from
the own images of all pairs (empirical Bayes, as the spread of Eq. 8 is shrunk toward what is usual): a
mixture, smooth and of any scale,

    r ~ sum_k w_k Beta(1, b_k),   b_k = 1, 3.2, 10 ... 1e7,

with the weights w_k of largest likelihood and one imagined pair in every part. If the null holds, then

    flagged | own  ~  sum_k w_k(own) BetaBinomial(n_highconf, 1 + own, b_k + n - own),

w_k(own) proportional to w_k P(own | k), and p = P(flagged or more | own). What is not known of r widens
the distribution: under the null small p are about as frequent as they say, or rarer (too frequent where
classes have few images and rates are all or nothing). q is Benjamini's and Hochberg's false discovery
rate over all pairs that are ever active. It is one of this null only: images of a look-alike class exceed
the line for a good reason, and get a small q as well.
"""

from typing import NamedTuple

import numpy as np

_SCALES = 10.0 ** (np.arange(15) / 2)  # b_k
_FEW = 1 << 24  # numbers below it are counted in a table
_STEPS = 300  # of expectation maximisation; the weights change little after a hundred


class Rates(NamedTuple):
    """The rates at which images of a class exceed the line: sum_k weight_k Beta(1, scale_k)."""

    weight: np.ndarray  # [K], sums to 1
    scale: np.ndarray  # [K]


def pooled_rates(own: np.ndarray, n: np.ndarray) -> Rates:
    """The mixture learned from `own` of `n` images above the line, int [pairs]."""
    width = int(own.max(initial=0)) + 1
    kinds, times = _counted(n * width + own)
    n, own = np.divmod(kinds[:, None], width)
    likelihood = np.exp(_log_likelihood(_SCALES, own, n))  # [kinds, K]
    weight = np.full(len(_SCALES), 1 / len(_SCALES))
    for _ in range(_STEPS):
        share = weight * likelihood
        expected = times @ (share / share.sum(axis=1, keepdims=True)) + 1
        weight = expected / expected.sum()
    return Rates(weight, _SCALES)


def _log_likelihood(scale: np.ndarray, own: np.ndarray, n: np.ndarray) -> np.ndarray:
    """log P(own of n | part k) without the binomial coefficient; scale [K], own, n [pairs, 1]."""
    from scipy.special import betaln

    found: np.ndarray = betaln(1 + own, scale + n - own) - betaln(1, scale)
    return found


def _kinds(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the first row of every kind, the kind of every row) of columns of counts below two million."""
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        key = key * (int(column.max(initial=0)) + 1) + column
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return first, which


def _counted(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(different numbers in rising order, how often each stands there); counted without sorting if small."""
    if numbers.max(initial=0) >= _FEW:
        return np.unique(numbers, return_counts=True)
    times = np.bincount(numbers)
    found = np.flatnonzero(times)
    return found, times[found]


def _posterior(rates: Rates, own: np.ndarray, n: np.ndarray) -> np.ndarray:
    """w_k(own) [pairs, K]."""
    logs = np.log(rates.weight) + _log_likelihood(rates.scale, own[:, None], n[:, None])
    share = np.exp(logs - logs.max(axis=1, keepdims=True))
    weight: np.ndarray = share / share.sum(axis=1, keepdims=True)
    return weight


def expected_share(rates: Rates, own: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The mean of r given what is known of the pair, [pairs]."""
    means = (1 + own[:, None]) / (1 + rates.scale + n[:, None])
    share: np.ndarray = (_posterior(rates, own, n) * means).sum(axis=1)
    return share


def predictive_tail(
    rates: Rates, flagged: np.ndarray, trials: np.ndarray, own: np.ndarray, n: np.ndarray
) -> np.ndarray:
    """p [pairs] = P(flagged or more of `trials` | own of n), int arguments [pairs].

    Summed from the far end, so that small values keep their digits; pairs that share trials, own and n
    share one sum.
    """
    p_values = np.ones(len(flagged))
    first, which = _kinds(trials, n, own)
    weight = _posterior(rates, own[first], n[first])
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which, minlength=len(first))).tolist()
    for i, (start, stop) in enumerate(zip([0, *ends], ends, strict=False)):
        members = order[start:stop]
        least, above = int(flagged[members].min()), int(own[first[i]])
        beta = rates.scale + int(n[first[i]]) - above
        tail = _tails(least, int(trials[first[i]]), 1 + above, beta, weight[i])
        p_values[members] = tail[flagged[members] - least]
    return np.where(flagged > 0, p_values.clip(max=1), 1.0)


def _tails(least: int, trials: int, a: float, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """P(count >= f) for f = least .. trials, of the mixture of BetaBinomial(trials, a, b_k)."""
    from scipy.special import betaln, gammaln

    f = np.arange(least, trials + 1, dtype=np.float64)
    shared = gammaln(trials + 1) - gammaln(f + 1) - gammaln(trials - f + 1) + gammaln(f + a)
    mass = np.zeros(len(f))
    for b_k, w in zip(b, weight, strict=True):
        mass += w * np.exp(shared + gammaln(trials - f + b_k) - gammaln(trials + a + b_k) - betaln(a, b_k))
    tails: np.ndarray = mass[::-1].cumsum()[::-1]
    return tails


def false_discovery_rate(p_values: np.ndarray, tested: int) -> np.ndarray:
    """Benjamini-Hochberg q-values of the p-values below 1 among `tested` tests; the others have p = 1."""
    order = np.argsort(p_values, kind="stable")
    ratio = p_values[order] * tested / np.arange(1, len(order) + 1)
    q = np.empty(len(order))
    q[order] = np.minimum.accumulate(ratio[::-1])[::-1].clip(max=1)
    return q
