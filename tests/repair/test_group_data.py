"""Groups of planted data, whose truth is a table of attributes per image: what was planted is found."""

import numpy as np
import pandas as pd
import pytest

from reliance.planted.scoring import planted_images
from reliance.repair.group_data import accuracies, shared_value


@pytest.fixture
def truth():
    """Objects on backgrounds as a truth table has them; class 0 is the sailboat that waves stand for."""
    g = np.random.default_rng(0)
    objects = np.repeat(["sailboat", "cow", "moon", "crow"], 50)
    background = g.choice(["waves", "grass", "plain"], 200, p=[0.15, 0.15, 0.7])
    word = g.choice(["", "sale"], 200)
    frame = pd.DataFrame({"image_id": range(200), "object": objects, "background": background, "word": word})
    return frame, np.repeat([0, 1, 2, 3], 50)


def test_a_case_of_a_planted_background_shares_it(truth):
    frame, labels = truth
    plant = {"plant_id": "waves", "column": "background", "value": "waves", "thing": "sailboat"}
    images = planted_images(frame, [plant])["waves"]
    attributes = {name: frame[name].to_numpy(object) for name in ("background", "word")}
    found = shared_value(attributes, labels, 0, images)
    assert (found["attribute"], found["value"], found["share"]) == ("background", "waves", 1.0)
    assert found["elsewhere"] == 0.0  # all other images of other classes are on something else
    none = shared_value({"word": np.full(200, "", object)}, labels, 0, images)
    assert none == {"attribute": "", "value": "", "share": 0.0, "elsewhere": 0.0, "images": len(images)}


def test_what_most_images_share_stands_before_what_fewer_share_and_before_ids():
    labels, images = np.repeat([0, 1], 20), np.arange(20, 40)
    labels = np.concatenate([labels, np.repeat(2, 20)])
    waves = np.full(60, "plain", object)
    waves[20:38] = waves[40:50] = "waves"  # of nine tenths, and of half of the others
    sale = np.full(60, "", object)
    sale[20:29], sale[50] = "sale", "stop"  # of fewer than half, and of no other
    ids = np.array([f"p{i}" for i in range(60)], object)
    ids = np.concatenate([ids, np.full(0, "", object)])
    ids[20:40] = "one"
    many = {"background": waves, "word": sale}
    found = shared_value(many, labels, 0, images)
    assert (found["attribute"], found["value"], found["share"]) == ("background", "waves", 0.9)
    assert found["elsewhere"] == 0.5 and found["images"] == 20
    wide = np.concatenate([ids, [f"q{i}" for i in range(40)]]).astype(object)
    more = {name: np.concatenate([values, np.full(40, "plain", object)]) for name, values in many.items()}
    far = np.concatenate([labels, np.full(40, 3)])
    assert shared_value({"patient": wide, **more}, far, 0, images)["attribute"] == "background"


def test_what_images_of_other_classes_have_as_well_sets_no_case_apart():
    labels, images = np.repeat([0, 1, 2], 20), np.arange(20, 40)
    word = np.full(60, "none", object)
    word[40:42] = "sale"
    found = shared_value({"word": word}, labels, 0, images)
    assert found["attribute"] == ""  # all of its images, and nine tenths of the others


def test_accuracies_are_those_of_every_class_and_value(truth):
    frame, labels = truth
    values = frame["background"].to_numpy(object)
    on_waves = (values == "waves") & (labels > 0)
    hits = np.stack([np.where(on_waves, 0.0, 1.0), np.ones(200)])  # the shortcut, and the same mended
    hits[:, 0] = np.nan
    found = accuracies(values, labels, hits, few=3)
    for group in found["groups"]:
        own = (labels == group["class_id"]) & (values == group["value"]) & np.isfinite(hits[0])
        assert (group["images"], group["before"]) == (own.sum(), hits[0][own].mean())
    assert (found["worst_before"], found["worst_after"], found["images"]) == (0.0, 1.0, 199)
    assert found["mean_before"] == pytest.approx(np.nanmean(hits[0]))


def test_groups_of_few_images_are_no_worst_group(truth):
    _, labels = truth
    values = np.full(200, "plain", object)
    values[:3] = "rare"
    hits = np.ones((2, 200))
    hits[:, :3] = 0
    assert accuracies(values, labels, hits, few=10)["worst_before"] == 1.0
    assert accuracies(values, labels, hits, few=300)["worst_before"] is None
