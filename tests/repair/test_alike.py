"""Images that look like a case's, on made embeddings."""

import numpy as np
import pytest

from reliance.repair.alike import OWN, RARE, looks_like, unit

P = 16


@pytest.fixture(scope="module")
def seen():
    """400 images about nothing, 40 of one thing; unit rows after the mean is taken away."""
    g = np.random.default_rng(0)
    rows = g.normal(size=(440, P))
    rows[400:] = 4 * np.eye(P)[0] + 0.8 * g.normal(size=(40, P))
    return unit(rows - rows.mean(axis=0))


def test_images_of_the_same_thing_look_like_the_case_and_others_do_not(seen):
    own, above = np.arange(400, 420), np.concatenate([np.arange(420, 440), np.arange(20)])
    found = looks_like(seen, own, above, np.arange(20, 400))
    assert found[:20].mean() > 0.7 and not found[20:].any()


def test_at_most_one_in_a_hundred_of_the_images_below_the_line_would(seen):
    below = np.arange(400)
    found = looks_like(seen, np.arange(50, 80), below, below)  # a case of images that have nothing in common
    assert found.mean() <= RARE + 1 / len(below)


def test_it_is_as_near_as_most_of_the_case_itself(seen):
    own = np.arange(400, 440)
    near = []
    for i in own:
        mean = np.delete(seen[own], np.flatnonzero(own == i), axis=0).mean(axis=0)
        near.append(float(mean @ seen[i] / np.linalg.norm(mean)))
    least = np.quantile(near, OWN)
    mean = seen[own].mean(axis=0)
    above = np.arange(400)
    expected = seen[above] @ (mean / np.linalg.norm(mean)) >= least
    below = np.flatnonzero(~expected)[:50]  # far: the case's own images set the bound
    assert (looks_like(seen, own, above, below) == expected).all()


def test_one_image_is_no_group(seen):
    assert not looks_like(seen, np.array([400]), np.arange(401, 440), np.arange(100)).any()
    assert not looks_like(seen, np.arange(400, 420), np.arange(420, 440), np.array([], np.int64)).any()
