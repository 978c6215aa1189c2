"""When the names on a page are guesses."""

from types import SimpleNamespace

import pandas as pd
import pytest

from reliance.report.names import names_doubts

from .test_opening import record

ONE = {"encoder": "mine", "labeller": "mine"}
OTHER = {"encoder": "mine", "labeller": "large"}


def study(alignments, top1=0.9):
    names = {"components", *(["alignments"] if alignments is not None else [])}
    table = None if alignments is None else pd.DataFrame({"alignment": alignments})
    return SimpleNamespace(alignments=table, zero_shot=record(top1=top1), has=names.__contains__)


def test_a_labeller_that_knows_the_classes_is_believed():
    assert names_doubts(study([0.2, 0.25, 0.22]), ONE, "short") == []
    assert names_doubts(study([0.2]), ONE, "short") == []


@pytest.mark.parametrize(
    "alignments",
    [[-0.019, 0.028, 0.014, 0.043, 0.036, 0.001, -0.023], [-0.003, -0.002], [0.0]],  # of weak models
)
@pytest.mark.parametrize("variant", [ONE, OTHER])
def test_one_whose_classes_are_no_nearer_to_their_names_than_to_no_text_is_not(alignments, variant):
    (doubt,) = names_doubts(study(alignments), variant, "short")
    assert doubt.startswith("The names of components are guesses: the labeller does not know these images")


def test_an_encoder_that_does_not_work_names_nothing_either():
    assert "is the encoder itself" in names_doubts(study([0.2, 0.25], top1=0.1), ONE, "short")[0]
    assert not names_doubts(study([0.2, 0.25], top1=0.1), OTHER, "short")


def test_without_classes_nobody_knows():
    assert "without classes nothing tells" in names_doubts(study(None), ONE, "short")[0]
    assert not names_doubts(SimpleNamespace(has=lambda name: False), ONE, "short")
