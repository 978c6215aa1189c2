import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reliance.base.errors import RelianceError
from reliance.robustness.zero_shot import Prompts, beats_baselines, credit, zero_shot

from .world import SETS, World, unit64


def by_hand(cosines, label, k):
    """Share of the orders of tied classes in which the right one is among the first k, one by one."""
    above = sum(c > cosines[label] + 1e-9 for c in cosines)
    tied = sum(abs(c - cosines[label]) <= 1e-9 for c in cosines)
    return sum(above + place < k for place in range(tied)) / tied


def run(world, **changes):
    path = world.folder / "zero_shot.json"
    prompts = Prompts(**{name: world.texts[name] for name in SETS})
    files = {"index": world.index, "embeddings": world.manifests["test"], "prompts": prompts}
    zero_shot(**{**files, "accuracies": path, **changes})
    return json.loads(path.read_text())


def test_accuracies_are_those_counted_image_by_image(tmp_path):
    world = World(tmp_path, classes=8, per_class=9)
    world.valid["test"][[0, 1, 30]] = False
    world.manifests["test"] = world.embed("other", world.x["test"], world.valid["test"])
    found = run(world, block_rows=7)
    kept = np.flatnonzero(world.valid["test"])
    assert found["images"] == len(kept) == 69
    assert found["classes"] == 8
    assert found["counts"] == [7, 9, 9, 8, 9, 9, 9, 9]
    assert found["chance"] == {"top1": 1 / 8, "top5": 5 / 8}
    assert found["majority"] == {"top1": 9 / 69, "top5": 45 / 69}
    for name in SETS:
        text = np.stack(pd.read_parquet(world.texts[name])["embedding"].to_list()).astype(float)
        z = unit64(world.x["test"].astype(np.float32), world.head)
        own = found["prompt_sets"][name]
        for k in (1, 5):
            right = [by_hand(text @ z[i], world.labels["test"][i], k) for i in kept]
            share, error = own[f"top{k}"]
            assert share == pytest.approx(np.mean(right), abs=1e-9)
            assert error == pytest.approx(np.sqrt(share * (1 - share) / len(kept)), abs=1e-9)
        top1 = [by_hand(text @ z[i], world.labels["test"][i], 1) for i in kept]
        classes = world.labels["test"][kept]
        expected = [np.mean([r for r, c in zip(top1, classes, strict=True) if c == i]) for i in range(8)]
        assert own["per_class"] == pytest.approx(expected)


def test_two_classes_with_one_text_vector_share_their_images(tmp_path):
    world = World(tmp_path, classes=3, per_class=10)
    vector = np.random.default_rng(1).normal(size=5)
    z = unit64(world.x["test"].astype(np.float32), world.head)
    world.texts["short"] = world.write_text("twin", np.stack([vector, vector, -vector]))
    found = run(world)["prompt_sets"]["short"]
    up = z @ vector > 0
    of = world.labels["test"]
    assert found["per_class"][0] == pytest.approx(up[of == 0].mean() / 2 + 0)
    assert found["top5"] == [1.0, 0.0]


@given(
    st.integers(1, 7).flatmap(
        lambda c: st.tuples(
            arrays(np.int64, (4, c), elements=st.integers(-2, 2)),
            arrays(np.int64, 4, elements=st.integers(0, c - 1)),
        )
    )
)
def test_ties_count_as_a_draw_would_on_average(case):
    cosines, labels = case
    found = credit(cosines / 4, labels)
    for row, k in enumerate((1, 5)):
        expected = [by_hand(c / 4, label, k) for c, label in zip(cosines, labels, strict=True)]
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_without_labelled_images_there_are_no_shares(tmp_path):
    world = World(tmp_path)
    world.valid["test"][:] = False
    world.manifests["test"] = world.embed("other", world.x["test"], world.valid["test"])
    found = run(world)
    assert found["prompt_sets"]["both"] == {"top1": [None] * 2, "top5": [None] * 2, "per_class": [None] * 3}
    assert found["majority"] == {"top1": None, "top5": None}
    assert beats_baselines(found, "both") is None


def test_prompts_of_other_weights_are_refused(tmp_path):
    world = World(tmp_path)
    world.texts["both"] = world.write_text("both", np.eye(3, 5), weights="1" * 64)
    with pytest.raises(RelianceError, match="same weights"):
        run(world)


@pytest.mark.parametrize(
    ("share", "error", "majority", "clear"),
    [(0.19, 0.03, 0.31, False), (0.36, 0.03, 0.31, False), (0.5, 0.03, 0.31, True), (0.2, 0.02, 0.1, True)],
)
def test_a_model_is_good_for_something_if_it_beats_what_sees_no_image(share, error, majority, clear):
    record = {"classes": 8, "chance": {"top1": 1 / 8}, "majority": {"top1": majority}}
    record["prompt_sets"] = {"short": {"top1": [share, error]}}
    assert beats_baselines(record, "short") is clear
