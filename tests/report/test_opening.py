"""The first screen: noise is no headline, and a weak model or SAE is said to be one."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reliance.report import opening

CLASSES = pd.DataFrame({"class_id": [0, 1], "short_name": ["crane", "derrick"]})
INDEX = pd.DataFrame({"split": "train", "image_id": [0, 1], "class_id": [1, 1]})


def record(top1=0.9, majority=0.31):
    sets = {"top1": [top1, 0.02], "top5": [1.0, 0.0], "per_class": [0.4, None]}
    return {
        "classes": 2,
        "chance": {"top1": 0.5 / 4, "top5": 1.0},
        "majority": {"top1": majority, "top5": 1.0},
        "prompt_sets": dict.fromkeys(opening.PROMPT_SETS, sets),
    }


def study(q_values=(), explained=0.88, kinds="compound", reviewed="no"):
    n = len(q_values)
    failures = pd.DataFrame(
        {
            "failure_id": [f"0-{i}-abc" for i in range(n)],
            "kind": kinds,
            "class_id": 0,
            "component": range(n),
            "score": np.arange(n, dtype=float),
            "q_value": q_values,
            "reviewed": reviewed,
        }
    )
    samples = pd.DataFrame({"failure_id": "0-0-abc", "split": "train", "image_id": [0, 1]})
    return SimpleNamespace(
        failures=failures,
        failure_samples=samples,
        index=INDEX,
        class_names=CLASSES,
        mined_components=pd.DataFrame({"component": [0], "label": ["bird"], "name": ["bird"]}),
        quality={"explained_variance": explained, "cosine": 0.9, "data": "held_out"},
        has=lambda name: True,
    )


def told(found, accuracies=None):
    warnings = [*opening.weights_doubts(accuracies or record(), "short"), *opening.sae_doubts(found)]
    return opening.headline(found, opening.strong(found.failures), warnings), warnings


def test_a_case_beyond_chance_is_the_headline():
    headline, warnings = told(study([1e-9, 0.9]))
    assert not warnings
    assert headline.startswith("1 case beyond chance: 1 × compound noun.")
    assert "images of derrick 100% score high for the prompt “crane”, through latent #0 bird." in headline
    assert headline.endswith("1 case that may be chance stands apart.")


@pytest.mark.parametrize("q", [0.06, 0.9, 1.0, float("nan")])
def test_cases_that_may_be_chance_are_no_headline(q):
    headline, _ = told(study([q] * 12))
    assert headline.startswith("Nowhere that chance would not explain: 12 cases")
    assert "crane" not in headline


def test_what_a_person_reviewed_counts():
    assert "1 × compound noun" in told(study([0.9], reviewed="yes"))[0]


def test_a_model_worse_than_the_majority_is_said_to_be_one():
    headline, warnings = told(study([1e-9] * 12), record(top1=0.19))
    assert "19.0 ± 2.0 %" in warnings[0] and "31.0 %" in warnings[0]
    assert headline == "12 cases were listed; take none for a finding."


def test_an_sae_that_explains_little_is_said_to_do_so():
    headline, (warning,) = told(study([1e-9], explained=0.42))
    assert "explains 42%" in warning
    assert headline == "1 case was listed; take none for a finding."


def test_without_cases_nothing_is_found():
    assert told(study())[0] == "No failure case was listed."


def test_accuracies_stand_beside_what_knows_nothing_of_images():
    grid = opening.accuracy_rows(record())
    assert grid.rows[0] == ["short name", "90.0 ± 2.0", "100.0 ± 0.0"]
    assert grid.rows[-2:] == [
        ["always the most frequent classes", "31.0", "100.0"],
        ["chance", "12.5", "100.0"],
    ]
    assert grid.numeric() == [False, True, True]
    nothing = record()
    nothing["prompt_sets"] = {name: {"top1": [None, None]} for name in opening.PROMPT_SETS}
    assert not opening.accuracy_rows(nothing).rows


def next_steps(found, warnings=(), audited=False):
    found.has = lambda name: audited or name != "audit"
    return opening.steps(found, opening.strong(found.failures), list(warnings), "mine")


def test_steps_count_what_waits_for_a_review():
    found = study([1e-9, 0.9])
    listed = next_steps(found)
    assert "config/reviews/mine.tsv: 1 of 1 case beyond chance waits" in listed[0]
    assert listed[-1].startswith("A classifier on these")
    assert next_steps(found, audited=True)[-1].startswith("Another classifier on these")


def test_no_step_contradicts_what_the_page_says():
    """No finding where the model does not work, no review where none waits."""
    listed = next_steps(study([1e-9, 0.9]), ["weak"])
    assert listed[0].startswith("First a model that works")
    assert not any("review" in step or "prompts" in step for step in listed)
    assert not any("review" in step for step in next_steps(study([0.9])))
    assert not any("review" in step for step in next_steps(study([0.9], reviewed="yes")))
    assert len(next_steps(study())) == 1


def test_weights_far_below_what_was_published_are_told():
    (doubt,) = opening.weights_doubts(record(0.6), "short", known=0.7)
    assert "at most 60.0 ± 2.0 %, published is 70.0 %" in doubt
    assert opening.weights_doubts(record(0.66), "short", known=0.7) == []
    assert opening.accuracy_rows(record(0.6), 0.7).rows[-1] == ["published for these weights", "70.0", ""]


def test_an_sae_worse_than_the_mean_is_said_to_explain_nothing():
    (warning,) = opening.sae_doubts(study(explained=-0.036))
    assert "explains nothing of what it takes apart (explained variance −0.036; the mean has 0)" in warning


def test_the_encoder_is_told_by_where_it_lies_and_its_shape():
    weights = {"encoder": "pets", "architecture": "from-file", "path": "my_clip/a.safetensors"}
    tower = {"layers": 3, "width": 128, "patch_size": 16, "image_size": 64}
    config = {"embed_dim": 128, "vision_cfg": tower}
    shape = "layers 3, width 128, patches of 16 px, images of 64 px, embedding of 128"
    assert opening.encoder_facts({**weights, "config": config, "pretrained": ""}) == [
        ("encoder", "pets"),
        ("weights", "my_clip/a.safetensors"),
        ("architecture", shape),
    ]
    tagged = {**weights, "architecture": "ViT-B-32", "pretrained": "openai", "path": None, "config": {}}
    assert opening.encoder_facts(tagged) == [("encoder", "pets (ViT-B-32)"), ("weights", "openai")]


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("class_token", "the class token after the last block"),
        ("embedding", "the image embedding itself"),
        ("block-2", "the class token after block -2 (from the end; -1 is the last)"),
        ("block10-patches", "the patch tokens after block 10"),
    ],
)
def test_the_page_says_where_the_model_is_read(site, said) -> None:
    assert opening.read_at(site) == said
