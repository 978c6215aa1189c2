"""Hit rates, against counting image by image."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from reliance.failures.selection import select_cases
from reliance.repair.hits import STRONG, Hits, Looked, hit_rates

UNITS = {0: [0], 1: [1], 2: [0, 1]}  # 2 is a family of both


def members(component):
    return np.array(UNITS[component])


def by_hand(a, class_ids, ids, class_id, component, images, above):
    sums = [np.float32(sum(row[j] for j in UNITS[component])) for row in a]
    on = dict(zip(ids.tolist(), sums, strict=True))
    least = sorted(on[i] for i in images)[int(STRONG * (len(images) - 1))]
    others = [i for i, c in zip(ids.tolist(), class_ids, strict=True) if c != class_id]
    strong = [i for i in others if on[i] >= least]
    hits = [i for i in strong if i in above]
    return len(strong), len(hits) / len(strong), len(above) / len(others)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2]))
def test_it_is_counted_over_images_of_other_classes_on_which_the_unit_is_as_active(seed, component):
    g = np.random.default_rng(seed)
    ids = np.sort(g.choice(400, 60, replace=False))
    class_ids = g.integers(0, 4, 60) * 10
    a = (g.random((60, 2)) * (g.random((60, 2)) < 0.6)).round(1).astype(np.float32)
    active = a[:, UNITS[component]].sum(1) > 0
    others = ids[(class_ids != 10) & active]
    above = others[g.random(len(others)) < 0.5]
    if not len(above):
        return
    flagged = above[: max(1, len(above) // 2)]
    flags = pd.DataFrame({"class_id": [10], "component": [component]})
    samples = pd.DataFrame({"class_id": 10, "component": component, "image_id": flagged})
    (found,) = hit_rates(flags, samples, {10: above}, Looked(ids, class_ids, csc_array(a)), members)
    expected = by_hand(a, class_ids, ids, 10, component, flagged.tolist(), above.tolist())
    assert found == pytest.approx(expected)


def test_a_unit_that_is_as_active_where_nothing_scores_like_the_class_hits_rarely():
    ids, class_ids = np.arange(100), np.repeat([1, 2], 50)
    a = np.zeros((100, 2), np.float32)
    a[50:100, 0] = 2  # on all images of the other class
    a[50:60, 1] = 2  # on those alone that score like the first
    above = {1: np.arange(50, 60)}
    flags = pd.DataFrame({"class_id": [1, 1], "component": [0, 1]})
    samples = pd.concat([flags.assign(image_id=i) for i in range(50, 60)])
    found = hit_rates(flags, samples, above, Looked(ids, class_ids, csc_array(a)), members)
    assert found == [Hits(50, 0.2, 0.2), Hits(10, 1.0, 0.2)]
    assert found[0].beyond == 0 and found[1].beyond == 1


def test_what_is_no_more_frequent_than_usual_is_no_hit():
    """With two classes, of which half score alike, any unit hits half of the time."""
    g = np.random.default_rng(0)
    ids, class_ids = np.arange(4000), np.repeat([1, 2], 2000)
    a = (g.random((4000, 2)) < 0.1).astype(np.float32)
    above = {1: np.sort(g.choice(np.arange(2000, 4000), 1000, replace=False))}
    flagged = above[1][a[above[1], 0] > 0]
    flags = pd.DataFrame({"class_id": [1], "component": [0]})
    samples = pd.DataFrame({"class_id": 1, "component": 0, "image_id": flagged})
    (found,) = hit_rates(flags, samples, above, Looked(ids, class_ids, csc_array(a)), members)
    assert found.hit_rate > 0.35 and abs(found.beyond) < 0.2


def test_no_flag_has_no_rate():
    none = pd.DataFrame({"class_id": [], "component": [], "image_id": []}, dtype=np.int64)
    looked = Looked(np.arange(3), np.zeros(3, np.int64), csc_array(np.ones((3, 2), np.float32)))
    assert hit_rates(none, none, {}, looked, members) == []


def test_of_the_flags_of_a_class_that_comes_first_which_hits_more_often():
    flags = pd.DataFrame(
        {"class_id": 1, "component": [3, 4], "n_flagged": 10, "mean_relevance": [0.2, 0.1], "q_value": 0.0}
    )
    samples = pd.DataFrame({"class_id": 1, "component": np.repeat([3, 4], 10), "image_id": np.arange(20)})
    assert [case.component for case in select_cases(flags, samples, 1, 0.5)] == [3]
    rated = flags.assign(hit_rate=[0.4, 1.0])
    assert [case.component for case in select_cases(rated, samples, 1, 0.5)] == [4]
