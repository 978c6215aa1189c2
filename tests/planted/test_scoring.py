import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from reliance.planted import scoring

# Class 0 has two plants, class 1 one, class 2 an artefact, class 3 one that the rule cannot find.
PLANTS = pd.DataFrame(
    [
        ("poly-a", "polysemous", 0, 20, 20),
        ("typo-a", "typography", 0, 20, 15),
        ("typo-b", "typography", 1, 20, 12),
        ("art-c", "artefact", 2, 20, 11),
        ("spur-d", "spurious", 3, 20, 9),
    ],
    columns=["plant_id", "mode", "class_id", "distractors", "confident"],
)
IMAGES = {name: np.arange(100 * i, 100 * i + 20) for i, name in enumerate(PLANTS["plant_id"])}
CASES = pd.DataFrame(
    [
        ("a1", 1, "polysemous", 0),  # 6 of 10 poly-a: true
        ("a2", 2, "typography", 0),  # 5 poly-a and 4 typo-a of 12: true as a union, but no plant is found
        ("b1", 1, "spurious", 1),  # 4 of 10 typo-b: unplanted
        ("b2", 2, "typography", 1),  # 5 of 10 typo-b: true, exactly half
        ("c1", 1, "spurious", 2),  # artefact
        ("d1", 1, "spurious", 3),  # shows a plant that does not count for recall
        ("e1", 1, "compound", 4),  # class without a plant
    ],
    columns=["failure_id", "rank", "kind", "class_id"],
)
PICTURES = {
    "a1": [*range(6), 900, 901, 902, 903],
    "a2": [*range(5), *range(100, 104), 900, 901, 902],
    "b1": [*range(200, 204), *range(900, 906)],
    "b2": [*range(200, 205), *range(900, 905)],
    "c1": [*range(300, 310)],
    "d1": [*range(400, 410)],
    "e1": [*range(10)],
}
SAMPLES = pd.DataFrame(
    [(name, image) for name, images in PICTURES.items() for image in images],
    columns=["failure_id", "image_id"],
)


@pytest.fixture
def judged():
    return scoring.judge_cases(CASES, SAMPLES, PLANTS, IMAGES)


def test_verdicts_by_hand(judged):
    verdict = judged.set_index("failure_id")["verdict"].to_dict()
    assert verdict == {
        "a1": "planted", "a2": "planted", "b1": "unplanted", "b2": "planted",
        "c1": "artefact", "d1": "planted", "e1": "unplanted",
    }  # fmt: skip
    share = judged.set_index("failure_id")["planted_share"]
    assert share["a2"] == pytest.approx(9 / 12)
    assert share["b1"] == pytest.approx(0.4)
    assert share["e1"] == 0, "distractors of another class do not count"


def test_plants_are_found_by_half_of_a_case(judged):
    plants = scoring.judge_plants(judged, PLANTS).set_index("plant_id")
    assert plants["found_at"].to_dict() == {"poly-a": 1, "typo-a": 0, "typo-b": 2, "art-c": 1, "spur-d": 1}
    assert plants["testable"].to_dict() == {
        "poly-a": True, "typo-a": True, "typo-b": True, "art-c": True, "spur-d": False,
    }  # fmt: skip


def test_recall_and_precision_by_hand(judged):
    plants = scoring.judge_plants(judged, PLANTS)
    first, whole = scoring.summary(judged, plants, 1), scoring.summary(judged, plants, None)
    assert (first["found"], first["testable"], first["true"], first["listed"]) == (1, 3, 2, 4)
    assert (whole["found"], whole["testable"], whole["true"], whole["listed"]) == (2, 3, 4, 6)
    assert whole["recall"] == pytest.approx(2 / 3)
    assert whole["precision"] == pytest.approx(4 / 6)
    assert whole["kinds"]["typography"] == {
        "recall": 0.5, "found": 1, "testable": 2, "precision": 1.0, "true": 2, "listed": 2,
    }  # fmt: skip
    assert whole["kinds"]["spurious"]["recall"] is None, "no testable plant of the kind"
    assert whole["kinds"]["spurious"]["precision"] == 0.5
    # a2 is listed as typography, but most of it is polysemous
    assert (whole["agree"], whole["of"]) == (3, 4)


def test_precision_of_the_first_ranks_and_of_the_whole_list(judged):
    scores = {"a1": 9, "a2": 1, "b1": 5, "b2": 4, "c1": 8, "d1": 5, "e1": 7}
    judged = judged.assign(score=judged["failure_id"].map(scores))
    record = scoring.ranked_summary(judged)
    first, second = record["precision_at_1"], record["precision_at_2"]
    assert (first["true"], first["listed"], first["precision"]) == (2, 4, 0.5)  # a1, d1 of a1, b1, d1, e1
    assert (second["true"], second["listed"]) == (4, 6)
    assert record["precision_at_3"] == second
    kept = judged[judged["verdict"] != "artefact"]
    expected = average_precision_score(kept["verdict"] == "planted", kept["score"])
    assert record["average_precision"] == pytest.approx(expected)
    assert (record["true"], record["candidates"]) == (4, 6)


def test_a_list_without_a_true_case_has_no_average_precision(judged):
    none = judged[judged["verdict"] == "unplanted"].assign(score=1.0)
    assert scoring.ranked_summary(none)["average_precision"] is None
    assert scoring.ranked_summary(none[:0])["precision_at_1"]["precision"] is None


def test_artefacts_are_scored_apart(judged):
    plants = scoring.judge_plants(judged, PLANTS)
    assert scoring.artefact_summary(judged, plants) == {"planted": 1, "testable": 1, "found": 1, "cases": 1}


def test_no_cases_at_all():
    judged = scoring.judge_cases(CASES[:0], SAMPLES[:0], PLANTS, IMAGES)
    record = scoring.summary(judged, scoring.judge_plants(judged, PLANTS), None)
    assert (record["recall"], record["precision"], record["listed"]) == (0, None, 0)


def test_planted_images_leave_out_the_own_object():
    truth = pd.DataFrame(
        {
            "image_id": [3, 1, 2, 0],
            "object": ["anchor", "cow", "cow", "cow"],
            "word": ["anchor", "anchor", "", "anchor"],
        }
    )
    plant = {"plant_id": "t", "thing": "anchor", "column": "word", "value": "anchor"}
    assert scoring.planted_images(truth, [plant])["t"].tolist() == [0, 1]
