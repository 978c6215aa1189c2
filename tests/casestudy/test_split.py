"""Which images a probe learns from."""

import numpy as np
import pandas as pd
import pytest

from reliance.casestudy.schema import AUDIT_SPLIT
from reliance.casestudy.split import draw, split_audit
from reliance.errors import RelianceError
from reliance.identity import read_table, write_table
from reliance.images.groups import GROUPS
from reliance.images.tables import CLASSES, INDEX


def made(folder, train, test, groups=None):
    """Index, classes and groups; train and test are class ids, groups one id per image of both ("" none)."""
    frame = pd.concat(
        [
            pd.DataFrame({"split": s, "image_id": range(len(c)), "class_id": c})
            for s, c in (("train", train), ("test", test))
        ]
    ).assign(path="p", bytes=1)
    paths = {"index": folder / "index.parquet", "classes": folder / "classes.parquet"}
    stamp = write_table(paths["index"], frame, INDEX, {}, {})
    named = pd.DataFrame({"class_id": range(3), "folder": ["m", "n", "o"], "definition": ""})
    named["short_name"] = named["full_name"] = ["melanoma", "naevus", "other"]
    write_table(paths["classes"], named, CLASSES, {}, {})
    if groups is not None:
        paths["groups"] = folder / "groups.parquet"
        ids = frame[["split", "image_id"]].assign(name="patient_id", value=groups)
        write_table(paths["groups"], ids[ids["value"] != ""], GROUPS, {}, {"index": stamp.id})
    return paths


def drawn(folder, paths, **settings):
    split_audit(**paths, audit_split=folder / "split.parquet", **{"positive": ["melanoma"], **settings})
    return read_table(folder / "split.parquet", AUDIT_SPLIT).frame


TRAIN, TEST = np.repeat([0, 1, 2], [20, 60, 10]), np.repeat([0, 1, 2], 5)


def test_share_of_the_positives_and_number_of_the_others(tmp_path):
    found = drawn(tmp_path, made(tmp_path, TRAIN, TEST), positive_share=0.8, negatives=30)
    train, test = found[found["split"] == "train"], found[found["split"] == "test"]
    assert train.groupby("positive")["fit"].sum().to_dict() == {True: 16, False: 30}
    assert len(train) == len(TRAIN)
    assert not test["fit"].any()
    assert test["positive"].sum() == 5
    assert len(test) == 15
    assert (found["group"] == "").all()


def test_negatives_may_be_named_and_classes_given_in_any_form(tmp_path):
    paths = made(tmp_path, TRAIN, TEST)
    found = drawn(tmp_path, paths, negative=["naevus"], negatives=1000)
    assert len(found) == 80 + 10
    assert found.loc[~found["positive"] & (found["split"] == "train"), "fit"].all()
    for name in ("m", 0, "0"):
        pd.testing.assert_frame_equal(
            drawn(tmp_path, paths, positive=[name], negative=["n"], negatives=1000), found
        )


def test_the_seed_decides(tmp_path):
    paths = made(tmp_path, TRAIN, TEST)
    first, again, other = (drawn(tmp_path, paths, seed=seed, negatives=30) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first["fit"].equals(other["fit"])


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides(seed):
    g = np.random.default_rng(seed)
    positive, groups = g.random(400) < 0.2, g.integers(0, 90, 400)
    found = draw(positive, groups, positive_share=0.8, negatives=150, seed=seed)
    assert not set(groups[found.fit]) & set(groups[found.held_out])
    assert not (found.fit & found.held_out).any()
    assert (found.fit & ~positive).sum() <= 150
    assert abs((found.fit & positive).sum() - 0.8 * positive.sum()) <= 2


def test_what_came_along_with_positives_counts_first_and_too_many_are_not_used():
    positive = np.array([True] * 4 + [False] * 12)
    groups = np.array([*range(4), 0, 1, 2, 3, 0, 1, 2, 3, 10, 11, 12, 13])
    found = draw(positive, groups, positive_share=1.0, negatives=3, seed=0)
    assert (found.fit & ~positive).sum() == 3
    assert not (found.fit & ~positive)[12:].any()
    assert found.held_out.tolist() == [False] * 12 + [True] * 4


def test_a_patient_of_the_test_split_is_not_learned_from(tmp_path):
    groups = ["a", *[f"p{i}" for i in range(89)], "a", "p88", *[""] * 13]
    paths = made(tmp_path, TRAIN, TEST, groups)
    found = drawn(tmp_path, paths, group="patient_id", negatives=1000, positive_share=1.0)
    learned = found.loc[found["fit"], "image_id"].tolist()
    assert 0 not in learned
    assert 89 not in learned
    assert len(learned) == 88
    sides = found.groupby(found["group"].where(found["group"] != ""))["fit"].nunique()
    assert (sides == 1).all()


def test_images_without_a_group_are_drawn_one_by_one(tmp_path):
    paths = made(tmp_path, TRAIN, TEST, [""] * 104 + ["z"])
    found = drawn(tmp_path, paths, group="patient_id", negatives=30)
    assert found.groupby("positive")["fit"].sum().to_dict() == {True: 16, False: 30}


def test_the_rest_of_the_training_split(tmp_path):
    found = drawn(tmp_path, made(tmp_path, TRAIN, TEST), test_on="rest", negatives=30)
    assert set(found["split"]) == {"train"}
    assert found.groupby("positive")["fit"].agg(["sum", "size"]).to_numpy().tolist() == [[30, 70], [16, 20]]


@pytest.mark.parametrize(
    ("settings", "where", "found"),
    [
        ({"positive": ["mole"]}, "audit.positive", "mole"),
        ({"negative": ["mole"]}, "audit.negative", "mole"),
        ({"positive_share": 0.01}, "index.parquet", "0 positive to learn from"),
        ({"test_on": "rest", "positive_share": 1.0}, "index.parquet", "0 positive to test on"),
        ({"group": "lesion_id"}, "audit.group", "lesion_id"),
    ],
)
def test_mistakes(tmp_path, settings, where, found):
    paths = made(tmp_path, TRAIN, TEST, ["x"] * 105)
    with pytest.raises(RelianceError) as caught:
        drawn(tmp_path, paths, **settings)
    assert where in caught.value.where
    assert found in caught.value.found
