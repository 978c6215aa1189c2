"""Images that look like a case's, on made embeddings."""

from types import SimpleNamespace

import numpy as np
import pytest

from reliance.repair.alike import OWN, RARE, Looks, centre, looks_like

P = 16


@pytest.fixture(scope="module")
def seen():
    """400 images about nothing, 40 of one thing; unit rows after the mean is taken away."""
    g = np.random.default_rng(0)
    rows = g.normal(size=(440, P))
    rows[400:] = 4 * np.eye(P)[0] + 0.8 * g.normal(size=(40, P))
    centre(rows, np.ones(440, bool))
    return rows


def stored(rows, valid):
    """Embeddings as the labeller's are read."""
    return SimpleNamespace(width=rows.shape[1], read=lambda _: valid, z_of=lambda i: rows[i])


def test_images_of_the_same_thing_look_like_the_case_and_others_do_not(seen):
    found = looks_like(seen, np.arange(400, 420), np.arange(20, 400), RARE)
    assert found[420:].mean() > 0.7 and not found[:20].any()


def test_new_images_about_nothing_look_so_as_rarely_as_is_said():
    g = np.random.default_rng(1)
    rows = g.normal(size=(40_000, P))
    centre(rows, np.ones(len(rows), bool))
    own, below, new = np.arange(30), np.arange(30, 20_000), np.arange(20_000, 40_000)
    assert looks_like(rows, own, below, RARE)[new].mean() < 1.3 * RARE


def test_several_cases_together_are_as_rare_as_one():
    g = np.random.default_rng(2)
    rows = g.normal(size=(20_000, P))
    looks = Looks(stored(rows, np.ones(len(rows), bool)), np.arange(len(rows)))
    cases, below = [np.arange(i, i + 12) for i in range(0, 48, 12)], np.arange(48, 20_000)
    assert looks.like(cases, below)[below].mean() <= 1.01 * RARE  # quantiles lie between images


def test_it_is_as_near_as_most_of_the_case_itself(seen):
    own = np.arange(400, 440)
    near = []
    for i in own:
        mean = np.delete(seen[own], np.flatnonzero(own == i), axis=0).mean(axis=0)
        near.append(float(mean @ seen[i] / np.linalg.norm(mean)))
    mean = seen[own].mean(axis=0)
    expected = seen @ (mean / np.linalg.norm(mean)) > np.quantile(near, OWN)
    below = np.flatnonzero(~expected)[:50]  # far: the case's own images set the bound
    assert (looks_like(seen, own, below, RARE) == expected).all()


def test_the_mean_of_all_images_is_taken_away_and_unreadable_ones_are_left_out():
    g = np.random.default_rng(3)
    rows = np.concatenate([g.normal(size=(300, P)), 4 * np.eye(P)[0] + 0.3 * g.normal(size=(40, P))]) + 5
    valid = np.ones(340, bool)
    whole = Looks(stored(rows, valid), np.arange(340))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = unit - unit.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(whole.centred, expected, atol=1e-5)
    broken, valid = rows.copy(), valid.copy()
    broken[[7, 335]], valid[[7, 335]] = 0, False
    looks = Looks(stored(broken, valid), np.arange(340))
    case, below = np.array([300, 301, 302, 303, 304, 335]), np.arange(300)
    found = looks.like([case], below)
    assert not found[[7, 335]].any() and found[305:335].mean() > 0.7
    assert (found[valid] == whole.like([case[:5]], below)[valid]).mean() > 0.95


def test_one_image_is_no_group(seen):
    looks = Looks(stored(seen, np.ones(len(seen), bool)), np.arange(len(seen)))
    assert not looks.like([np.array([400])], np.arange(100)).any()
    assert not looks.like([np.arange(400, 420)], np.array([], np.int64)).any()
    assert not looks.like([], np.arange(100)).any()
