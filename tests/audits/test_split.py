"""Which images a probe learns from."""

import numpy as np
import pandas as pd
import pytest

from reliance.audits.schema import AUDIT_SPLIT
from reliance.audits.split import draw, split_audit
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.images.groups import GROUPS
from reliance.images.tables import CLASSES, INDEX


def made(folder, train, test, groups=None, folders="mno", short=("melanoma", "naevus", "other")):
    """Index, classes and groups; train and test are class ids, groups one id per image of both ("" none)."""
    frame = pd.concat(
        [
            pd.DataFrame({"split": s, "image_id": range(len(c)), "class_id": c})
            for s, c in (("train", train), ("test", test))
        ]
    ).assign(path="p", bytes=1)
    paths = {"index": folder / "index.parquet", "classes": folder / "classes.parquet"}
    stamp = write_table(paths["index"], frame, INDEX, {}, {})
    named = pd.DataFrame({"class_id": range(3), "folder": list(folders), "definition": ""})
    named["short_name"] = named["full_name"] = list(short)
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


@pytest.mark.parametrize(("given", "learned"), [(1, 1), ("2", 0), ("1", 1), ("n2", 1), ("0", 2)])
def test_a_number_is_an_id_and_a_text_a_name_first(tmp_path, given, learned):
    """Folders are 2, n2 and 0: as texts they are folders; no class is called 1, so that it is an id."""
    paths = made(tmp_path, TRAIN, TEST, folders=["2", "n2", "0"])
    found = drawn(tmp_path, paths, positive=[given], positive_share=1.0)
    assert found.loc[found["split"] == "train", "positive"].sum() == (20, 60, 10)[learned]


def test_several_entries_of_one_side_and_one_class_twice(tmp_path):
    found = drawn(tmp_path, made(tmp_path, TRAIN, TEST), positive=["0", 2, "other", "m"])
    assert found.loc[found["split"] == "test", "positive"].sum() == 10


@pytest.mark.parametrize("key", ["positive", "negative"])
def test_a_name_of_two_classes(tmp_path, key):
    paths = made(tmp_path, TRAIN, TEST, folders=["n01", "n02", "n03"], short=["crane", "heron", "crane"])
    with pytest.raises(RelianceError, match="one class") as caught:
        drawn(tmp_path, paths, **{"positive": ["heron"], key: ["crane"]})
    assert caught.value.where == f"audit.{key}"
    assert caught.value.found == "crane, which 2 classes are called"
    assert "n01 (crane, id 0), n03 (crane, id 2)" in caught.value.allowed
    found = drawn(tmp_path, paths, positive=["n03"], negative=["heron"], negatives=60)
    assert found.loc[found["split"] == "train", "positive"].sum() == 10


@pytest.mark.parametrize(
    ("positive", "negative"),
    [(["melanoma"], ["m", "naevus"]), ([0], [0]), ([0], ["0"]), (["1", "m"], ["o", "melanoma"])],
)
def test_a_class_on_both_sides(tmp_path, positive, negative):
    with pytest.raises(RelianceError, match="not both") as caught:
        drawn(tmp_path, made(tmp_path, TRAIN, TEST), positive=positive, negative=negative)
    assert caught.value.where == "audit.negative"
    assert caught.value.found == "on both sides: m (melanoma, id 0)"


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


@pytest.mark.parametrize("seed", range(3))
def test_groups_and_the_rest_of_the_training_split(tmp_path, seed):
    """Six images of all classes each; patients of the test split may be learned from: it is not used."""
    patients = [f"p{i % 15}" for i in range(len(TRAIN))] + ["p0"] * len(TEST)
    paths = made(tmp_path, TRAIN, TEST, patients)
    settings = {"group": "patient_id", "test_on": "rest", "positive_share": 0.6, "seed": seed}
    found = drawn(tmp_path, paths, negatives=30, **settings)
    assert set(found["split"]) == {"train"}
    assert (found["group"] != "").all()
    learned = set(found.loc[found["fit"], "group"])
    assert not learned & set(found.loc[~found["fit"], "group"])
    assert 10 <= found.loc[found["fit"], "positive"].sum() <= 12
    assert (found["fit"] & ~found["positive"]).sum() == 30
    assert found.loc[~found["fit"]].groupby("positive").size().min() > 0
    no_test = made(tmp_path, TRAIN, [2], [f"p{i % 15}" for i in range(len(TRAIN))] + ["other"])
    assert drawn(tmp_path, no_test, negatives=30, **settings).equals(found)


NO_POSITIVE_TEST, NO_POSITIVE = {"test": [1, 1, 2]}, {"train": [1] * 30, "test": [0, 1]}
ONE_PATIENT = {"groups": ["x"] * 20 + [f"p{i}" for i in range(85)]}
SEEN_IN_TEST = {"groups": ["x"] * 20 + [f"p{i}" for i in range(70)] + ["x"] + [""] * 14}
LARGE = {"groups": [""] * 20 + ["x"] * 70 + [""] * 15}
REST, PATIENT = {"test_on": "rest", "negatives": 30}, {"group": "patient_id"}
RAISE, LOWER = (
    "raise audit.positive_share, which has room for none",
    "lower audit.{}, which takes all of the {}",
)


@pytest.mark.parametrize(
    ("data", "settings", "step"),
    [
        ({}, {"positive_share": 0.01}, f"{RAISE} of the positive images of split train (20)"),
        (
            NO_POSITIVE_TEST,
            {},
            "split test has no positive image: add some, or choose other classes, or take",
        ),
        (NO_POSITIVE, {}, "split train has no positive image: add some, or choose other classes"),
        ({}, {**REST, "positive_share": 0.99}, LOWER.format("positive_share", "positive")),
        ({}, {**REST, "negatives": 70}, LOWER.format("negatives", "negative")),
        (ONE_PATIENT, {**PATIENT, **REST, "positive_share": 0.9}, "one image or one group"),
        (ONE_PATIENT, PATIENT, f"{RAISE} of the positive images of split train (20; those of one group"),
        (SEEN_IN_TEST, PATIENT, "every positive image of split train is of a group that split test"),
        (LARGE, {**PATIENT, "negatives": 60}, "raise audit.negatives"),
        ({"test": [0, 0]}, {}, "split test has no negative image"),
        ({"train": [0] * 9}, {}, "split train has no negative image"),
    ],
)
def test_what_to_do_about_a_side_without_images(tmp_path, data, settings, step):
    data = {"train": TRAIN, "test": TEST, **data}
    with pytest.raises(RelianceError, match="both classes") as caught:
        drawn(tmp_path, made(tmp_path, **data), **settings)
    assert step in caught.value.next_step
    assert "take audit.test_on: test" not in caught.value.next_step or settings.get("test_on") == "rest"
    assert "take audit.test_on: rest" not in caught.value.next_step or "test_on" not in settings
    assert "; " not in caught.value.next_step.partition(" (")[0]  # about one side only


def test_negatives_that_come_along_with_positives_only(tmp_path):
    """Every patient has both: more negatives are learned from only if more positives are."""
    paths = made(tmp_path, [0, 1] * 10, [0, 1], [f"p{i // 2}" for i in range(20)] + ["", ""])
    settings = {"group": "patient_id", "positive_share": 0.01}
    with pytest.raises(RelianceError) as caught:
        drawn(tmp_path, paths, **settings)
    assert "or raise audit.positive_share: positives bring" in caught.value.next_step


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
