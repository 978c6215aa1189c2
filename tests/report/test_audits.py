"""The sentences of an audit, on the paper's accuracies."""

import pytest

from figures.audit_examples import PAPER, accuracies_of, write_audit
from reliance.audits.findings import findings
from reliance.audits.schema import RELEVANCES
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.config.stages import AuditSettings
from reliance.explore.tables import Tables
from reliance.report.audits import headline
from reliance.report.page import NOT_ASKED, audit_shown

NAMES = {"audit": "audit", "audit_accuracies": "accuracies", "audit_relevances": "relevances"}


def opened(paths):
    return Tables({name: paths[key] for name, key in NAMES.items()}, "demo")


def told_of(paths):
    tables = opened(paths)
    return headline(tables.audit, tables.audit_accuracies)


@pytest.fixture
def shortcut(tmp_path):
    return write_audit(tmp_path, accuracies_of(PAPER))


def test_a_shortcut_is_told(shortcut):
    tables = opened(shortcut)
    said = headline(tables.audit, tables.audit_accuracies)
    assert "component #3 (red hue) is number 4 of what speaks for not melanoma" in said
    assert "the accuracy of melanoma falls by 20.6 ± 2.1 %" in said
    assert "That of the robust probe falls by 5.1 ± 2.0 %" in said
    judged = findings(tables.audit_accuracies, tables.audit_relevances, tables.audit)
    assert [f.name for f in judged] == [
        "shortcut",
        "repair",
        "less_relevant",
        "strength",
    ]


def test_no_shortcut_is_told_where_nothing_falls(tmp_path):
    same = {probe: ([0.8] * 3, [0.7] * 3) for probe in PAPER}
    paths = write_audit(tmp_path, accuracies_of(same), label="")
    said = told_of(paths)
    assert "component #3 is number 4" in said
    assert "(red × 2) the accuracy of no class falls by more than 3 standard errors" in said


def test_a_component_that_the_change_does_not_move_is_not_blamed(tmp_path):
    paths = write_audit(tmp_path, accuracies_of(PAPER), shift=-0.4, given=True)
    said = told_of(paths)
    assert "embeddings do not move along this component: what follows is about something else" in said


def test_how_often_the_classifier_is_right_is_told(shortcut):
    assert "it is right for 80% of 907 of melanoma and 68% of 2000 of not melanoma, 74% in the mean" in (
        told_of(shortcut)
    )


def test_a_head_that_names_one_class_is_no_robust_one(tmp_path):
    """100 % and 0 % of 3 images cannot fall; there is no verdict, and none on a repair."""
    useless = accuracies_of({probe: ([1.0] * 3, [0.0] * 3) for probe in PAPER}, n=(23, 3))
    paths = write_audit(tmp_path, useless, names=("dog", "cat like"), n_high=1)
    said = told_of(paths)
    assert "100% of 23 of dog and 0% of 3 of cat like, 50% in the mean" in said
    assert said.endswith("There is no verdict: see the warnings above.")
    assert "standard errors" not in said
    shown = audit_shown(opened(paths))
    assert [line.split(":")[0] for line in shown["audit_doubts"]] == [
        "This classifier does not tell dog from cat like",
        "The classifier was tested on 3 of cat like",
        "The direction of the audited component leads from 400 weak to 1 strong samples, "
        "fewer than 10 of a kind",
    ]
    tables = opened(paths)
    judged = findings(tables.audit_accuracies, tables.audit_relevances, tables.audit)
    assert {finding.holds for finding in judged} == {None}


def test_a_change_that_nobody_asked_for_is_said_to_be_the_default(shortcut):
    usual = AuditSettings(positive=("cat",)).intervention.model_dump()
    assert audit_shown(opened(shortcut), {"intervention": usual})["audit"].endswith(NOT_ASKED)
    asked = {"intervention": {**usual, "opposite": None}}
    assert NOT_ASKED not in audit_shown(opened(shortcut), asked)["audit"]


def test_few_strong_samples_leave_the_fall_a_verdict(tmp_path):
    paths = write_audit(tmp_path, accuracies_of(PAPER), n_high=9)
    said, tables = told_of(paths), opened(paths)
    assert "falls by 20.6" in said
    assert said.endswith("There is no verdict on the robust probe: see the warnings above.")
    judged = findings(tables.audit_accuracies, tables.audit_relevances, tables.audit)
    assert [finding.holds for finding in judged] == [True, None, None, None]


def test_files_of_different_audits_are_refused(shortcut):
    table = read_table(shortcut["relevances"], RELEVANCES)
    write_table(shortcut["relevances"], table.frame, RELEVANCES, {}, {"probe": "q" * 64, "codes": "c" * 64})
    with pytest.raises(RelianceError, match="probe"):
        _ = opened(shortcut).audit
