import numpy as np
from scipy.sparse import csr_array

from reliance.repair.likeness import Seen, likeness


def dense(seen):
    """All likenesses, pair by pair."""
    a = seen.activations.toarray().astype(np.float64)
    m = a.shape[1]
    unit = lambda rows: rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)  # noqa: E731
    direction, embedded = unit(seen.directions), unit(seen.embeddings)
    named = np.abs(seen.embeddings).sum(1) > 0
    embedded = unit(np.where(named[:, None], embedded - embedded[named].mean(0), 0))
    found = np.zeros((m, m))
    for i in range(m):
        for j in range(m):
            if i == j or not a[:, i].std() or not a[:, j].std():
                continue
            beside = max(direction[i] @ direction[j], np.corrcoef(a[:, i], a[:, j])[0, 1])
            both = named[i] and named[j]
            found[i, j] = (embedded[i] @ embedded[j] + beside) / 2 if both else beside
    return np.maximum(found, 0)


def test_every_pair_of_a_long_shortlist_and_the_strongest_of_a_short_one():
    g = np.random.default_rng(0)
    m = 23
    activations = np.where(g.random((50, m)) < 0.3, g.random((50, m)), 0)
    activations[:, 4] = 0
    embeddings = g.normal(size=(m, 6)) + 1
    embeddings[7] = 0
    seen = Seen(
        g.normal(size=(m, 5)).astype(np.float32),
        csr_array(activations.astype(np.float32)),
        embeddings.astype(np.float32),
    )
    every = dense(seen)
    np.testing.assert_allclose(likeness(seen, m, block=5).toarray(), every, atol=1e-5)
    short = likeness(seen, 3, block=7).toarray()
    for i in range(m):
        kept = set(np.flatnonzero(short[i]))
        best = {j for j in np.argsort(-every[i])[:3] if every[i, j] > 0}
        assert best <= kept
    np.testing.assert_allclose(short[short > 0], every[short > 0], atol=1e-5)
