"""Time and memory of matching two dictionaries by their activations on the same images.

    python benchmarks/matching.py --images 200000 --m 30000 --k 64 --d 1024

The second dictionary is a permuted copy of the first: its activations are noisy, a tenth of its entries is
of other units. Printed: seconds, the most memory that the process had, and how many units were found.
"""

import argparse
import resource
import time

import numpy as np
from threadpoolctl import threadpool_limits

from clock import machine  # finds src too
from reliance.matching.correlation import activity
from reliance.matching.matches import Dictionary, match, sparse_rows


def draw(options: argparse.Namespace) -> tuple[Dictionary, Dictionary, np.ndarray]:
    rng = np.random.default_rng(0)
    n, m, k = options.images, options.m, options.k
    decoder = rng.standard_normal((m, options.d), dtype=np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    rates = 1 / np.arange(1, m + 1) ** 0.5  # some units are common, most are rare
    cumulative = np.cumsum(rates) / rates.sum()
    indices = np.minimum(np.searchsorted(cumulative, rng.random((n, k), dtype=np.float32)), m - 1)
    indices = indices.astype(np.int32)
    values = rng.uniform(0.5, 2, (n, k)).astype(np.float32)
    order = rng.permutation(m).astype(np.int32)
    other = np.where(rng.random((n, k)) < 0.9, order[indices], rng.integers(0, m, (n, k), np.int32))
    noisy = values * rng.uniform(0.8, 1.2, (n, k)).astype(np.float32)
    place = ("w", "class_token")
    first = Dictionary("a", activity(summed(values, indices, m)), decoder, place)
    rows = np.empty_like(decoder)
    rows[order] = decoder
    second = Dictionary("b", activity(summed(noisy, other, m)), rows, place)
    return first, second, order


def summed(values, indices, m):
    """Codes as the store has them name no unit twice; here, what is named twice is added."""
    found = sparse_rows(values, indices, m)
    found.sum_duplicates()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("images", 200_000), ("m", 30_000), ("k", 64), ("d", 1024), ("shortlist", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.device = "cpu"
    with threadpool_limits(options.threads):
        print(machine(options))
        began = time.perf_counter()
        first, second, order = draw(options)
        drawn = time.perf_counter()
        found, _ = match(first, second, options.shortlist)
        seconds = time.perf_counter() - drawn
    right = float((found.match == order).mean())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"drawn and summed up in {drawn - began:.0f} s; matched in {seconds:.0f} s")
    print(f"at most {most:.1f} GB; {100 * right:.1f} % of the units found")
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
