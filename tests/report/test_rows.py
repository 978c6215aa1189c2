from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reliance.report import rows

CLASSES = pd.DataFrame({"class_id": [0, 1, 2], "short_name": ["crane", "derrick", "kite"]})
INDEX = pd.DataFrame({"split": "train", "image_id": [0, 1, 2, 3], "class_id": [0, 1, 1, 2]})


def failures(**changes):
    case = {"failure_id": "0-7-abc", "kind": "polysemous", "class_id": 0, "component": 7, "score": 1.0}
    return pd.DataFrame([{**case, "source": "mined", "q_value": 1e-9, "reviewed": "no", **changes}])


def samples(ids):
    return pd.DataFrame({"failure_id": "0-7-abc", "dataset": "d", "split": "train", "image_id": ids})


def robustness(**areas):
    return pd.DataFrame(
        [
            {"failure_id": "0-7-abc", "source": "mined", "probe": probe, "spurious_auc": area}
            for probe, area in areas.items()
        ],
        columns=["failure_id", "source", "probe", "spurious_auc"],
    )


COMPONENTS = pd.DataFrame(
    {
        "component": [7, 8, 9],
        "label": ["building machine", "", "bird"],
        "name": ["building machine", "", "no name (bird?)"],
        "runner_up": ["tower", "", "wing"],
        "alignment": [0.3, np.nan, 0.1],
        "clarity": [0.7, np.nan, 0.5],
        "top20_mean": [2.0, 1.0, 3.0],
        "n_active": [40, 3, 30],
        "firing_rate": [0.01, 0.001, 0.5],
    }
)


def cases(failures, samples, index, classes, components, robustness):
    names = {"failures": failures, "failure_samples": samples, "index": index, "class_names": classes}
    study = SimpleNamespace(**names, mined_components=components, robustness=robustness)
    return rows.case_rows(study, failures)


def test_a_case_says_whom_it_fools_with_what():
    grid = cases(
        failures(), samples([1, 2, 3]), INDEX, CLASSES, COMPONENTS, robustness(short=0.6, both=np.nan)
    )
    assert grid.rows == [
        [
            "crane",
            "polysemous word",
            "derrick 67%, kite 33%",
            "#7 building machine",
            "3",
            "<0.001",
            "0.600",
            "",
            "",
        ]
    ]


def test_cases_are_sorted_by_score():
    two = pd.concat([failures(), failures(failure_id="1-8-abc", class_id=1, component=8, score=2.0)])
    grid = cases(two, samples([1]), INDEX, CLASSES, COMPONENTS, robustness())
    assert [row[0] for row in grid.rows] == ["derrick", "crane"]
    assert grid.rows[0][3:5] == ["#8", "0"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a"] * 3 + ["b"], "a 75%, b 25%"),
        (["a", "b", "c", "d", "e"], "a 20%, b 20%, c 20%, 2 more"),
        ([], "unlabelled images"),
        ([None, "a"], "a 50%"),
    ],
)
def test_the_commonest_names(names, words):
    assert rows.commonest(pd.Series(names, dtype=object)) == words


def test_components_by_activation_with_what_is_left_out():
    sure = pd.DataFrame({"component": COMPONENTS["component"], "confidence": 0.95, "rival": "wing"})
    assert rows.component_rows(COMPONENTS, sure.assign(confidence=0.5), 1).rows[0][2] == (
        "a coin toss: 50%, else wing"
    )
    grid = rows.component_rows(COMPONENTS, sure, 1)
    assert grid.rows == [["#9", "no name (bird?)", "95%", "wing", "+0.100", "0.50", "3.00", "30", "50.00%"]]
    assert grid.left_out == 1


def test_hidden_concepts_by_share():
    hidden = pd.DataFrame(
        {
            "component": [1, 2, 3],
            "band": ["clear", "middle", "diffuse"],
            "clarity": [0.7, 0.5, 0.2],
            "activation": [1.0, 2.0, 3.0],
            "alignment": [-0.1, 0.0, 0.1],
            "nearest": ["a", "x", "c"],
            "label": ["a", "b", "c"],
            "class_id": [0, 1, 2],
            "share": [0.05, 0.2, 0.3],
            "by_relevance": [True, True, False],
            "by_activation": [True, False, False],
        }
    )
    grid = rows.hidden_rows(hidden, CLASSES, 10)
    assert [row[0] for row in grid.rows] == ["#2", "#1"]
    assert grid.rows[1][-3:] == ["crane", "5.0%", "relevance and activation"]


def test_reviewed_cases_say_so():
    grid = cases(failures(reviewed="yes"), samples([1]), INDEX, CLASSES, COMPONENTS, robustness())
    assert grid.rows[0][1] == "polysemous word (reviewed)"


def test_what_was_missed_and_what_nobody_planted():
    plant = {"mode": "spurious", "class_id": 2, "confident": 28, "testable": True, "found_at": 0}
    plants = [plant, {**plant, "class_id": 0, "found_at": 1}, {**plant, "mode": "artefact"}]
    cases = [{"failure_id": "0-7-abc", "class_id": 0, "verdict": "unplanted"}]
    missed, extra = rows.truth_misses({"plants": plants, "cases": cases}, CLASSES, failures())
    assert missed == "Planted and not found: spurious correlation of “kite” (28 confident distractors)."
    assert extra == "Found and not planted: “crane” through #7."


def test_truth_in_words():
    part = {"recall": 0.5, "found": 1, "testable": 2, "precision": None, "true": 0, "listed": 0}
    ranked = {f"precision_at_{n}": {"precision": 0.75, "true": 3, "listed": 4} for n in (1, 2, 3)}
    ranked |= {"average_precision": 0.9, "true": 3, "candidates": 8}
    grid = rows.truth_rows({"all": {**part, "kinds": {"typography": part}}, "ranked": ranked})
    assert grid.rows[2] == ["the strongest of a class", "", "0.750 (3 of 4)"]
    assert grid.rows[-1] == ["average precision over all candidates", "", "0.900 (3 of 8 true)"]
    assert grid.rows[1] == ["written word", "0.500 (1 of 2)", "none"]
