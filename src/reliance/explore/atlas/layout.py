"""Where units stand on the map: near each other if their vectors point the same way.

Principal axes, then t-SNE of scikit-learn (Barnes-Hut, O(m log m)), on at most two threads: the order of more
than two sums, and with that the map, would be another in every run.
"""

import numpy as np

AXES = 32  # that t-SNE starts from
PERPLEXITY = 20.0
STEPS = 500
THREADS = 2
SIDE = 10000  # of the map


def layout(vectors: np.ndarray) -> np.ndarray:
    """Places int64 [n, 2] in 0..SIDE for vectors [n, d], whose lengths do not count.

    The same vectors give the same places. A few units, too few for neighbourhoods, stand by principal axes.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    count, width = unit.shape
    if count < 2 or width < 2:
        return np.full((count, 2), SIDE // 2)
    model = PCA(min(AXES, count, width), svd_solver="covariance_eigh")
    with threadpool_limits(THREADS):
        axes = model.fit_transform(unit.astype(np.float64))
        return _spread(_neighbourhoods(axes) if count > 8 else axes[:, :2])


def _neighbourhoods(axes: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE

    start = axes[:, :2] / max(float(axes[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(PERPLEXITY, (len(axes) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), max_iter=STEPS, angle=0.6, n_jobs=1)
    found: np.ndarray = model.fit_transform(axes.astype(np.float32))
    return found


def _spread(places: np.ndarray) -> np.ndarray:
    """Places scaled to the side of the map, both directions alike, its middle in the middle."""
    low, high = places.min(0), places.max(0)
    span = max(float((high - low).max()), 1e-12)
    found: np.ndarray = (
        np.rint(SIDE / 2 + (places - (low + high) / 2) / span * SIDE).astype(np.int64).clip(0, SIDE)
    )
    return found
