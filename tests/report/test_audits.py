"""The sentences of an audit, on the paper's accuracies."""

import pytest

from figures.audit_examples import PAPER, accuracies_of, write_audit
from reliance.audits.findings import findings
from reliance.audits.schema import RELEVANCES
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.explore.tables import Tables
from reliance.report.audits import headline

NAMES = {"audit": "audit", "audit_accuracies": "accuracies", "audit_relevances": "relevances"}


def opened(paths):
    return Tables({name: paths[key] for name, key in NAMES.items()}, "demo")


@pytest.fixture
def shortcut(tmp_path):
    return write_audit(tmp_path, accuracies_of(PAPER))


def test_a_shortcut_is_told(shortcut):
    tables = opened(shortcut)
    said = headline(tables.audit)
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
    said = headline(opened(paths).audit)
    assert "component #3 is number 4" in said
    assert "(red × 2) the accuracy of no class falls by more than 3 standard errors" in said


def test_a_component_that_the_change_does_not_move_is_not_blamed(tmp_path):
    paths = write_audit(tmp_path, accuracies_of(PAPER), shift=-0.4, given=True)
    said = headline(opened(paths).audit)
    assert "embeddings do not move along this component: what follows is about something else" in said


def test_files_of_different_audits_are_refused(shortcut):
    table = read_table(shortcut["relevances"], RELEVANCES)
    write_table(shortcut["relevances"], table.frame, RELEVANCES, {}, {"probe": "q" * 64, "codes": "c" * 64})
    with pytest.raises(RelianceError, match="probe"):
        _ = opened(shortcut).audit
