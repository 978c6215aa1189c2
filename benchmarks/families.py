"""Time and memory of grouping units into families, of a made dictionary in which concepts are split.

    python benchmarks/families.py --images 200000 --m 30000 --k 64 --d 1024

Units 0 to 5, 6 to 11, ... stand for one concept each: alike in direction and in what the labeller sees.
Printed: seconds, the most memory that the process had, and the share of units whose family is their concept.
"""

import resource
import time
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from clock import machine, parser
from matching import summed
from reliance.repair.families import CUTS
from reliance.repair.likeness import Seen, likeness
from reliance.repair.linkage import families

SPLIT = 6  # units of a concept


def drawn(images: int, m: int, k: int, d: int, labeller: int) -> Seen:
    """What units are compared by."""
    rng = np.random.default_rng(0)

    def around(width: int, noise: float) -> np.ndarray:
        centres = rng.standard_normal((m // SPLIT + 1, width), dtype=np.float32)
        spread = noise * rng.standard_normal((m, width), dtype=np.float32)
        rows = centres[np.arange(m) // SPLIT] + spread
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    rates = 1 / np.arange(1, m + 1) ** 0.5  # some units are common, most are rare
    cumulative = np.cumsum(rng.permutation(rates)) / rates.sum()
    indices = np.minimum(np.searchsorted(cumulative, rng.random((images, k), dtype=np.float32)), m - 1)
    values = rng.uniform(0.5, 2, (images, k)).astype(np.float32)
    codes = summed(values, indices.astype(np.int32), m)
    return Seen(around(d, 0.5), codes, around(labeller, 0.3))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what it takes."""
    options = parser(
        __doc__ or "", images=20_000, m=3_000, k=32, d=256, labeller=512, shortlist=16, largest=50
    ).parse_args(arguments)
    print(machine(options))
    with threadpool_limits(options.threads):
        seen = drawn(options.images, options.m, options.k, options.d, options.labeller)
        began = time.perf_counter()
        graph = likeness(seen, options.shortlist)
        compared = time.perf_counter()
        levels = families(graph, CUTS, options.largest)
        ended = time.perf_counter()
    concept, right = np.arange(options.m) // SPLIT, np.zeros(options.m, bool)
    for level in levels:
        for family in np.unique(level[level >= 0]):
            own = np.flatnonzero(level == family)
            right[own] |= len(own) == SPLIT and len(np.unique(concept[own])) == 1
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"compared in {compared - began:.0f} s, joined in {ended - compared:.0f} s")
    print(f"at most {most:.1f} GB; the concept is the family of {right.mean():.1%} of the units")


if __name__ == "__main__":
    main()
