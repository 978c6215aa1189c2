"""What is said of an audit."""

import pytest

from figures.audit_examples import AUDITED, LATENTS, PAPER, accuracies_of, relevances_of
from reliance.audits.drops import verdict
from reliance.audits.findings import findings


def said(values, **about):
    frame = accuracies_of(values)
    known = {
        "n_low": 40,
        "n_high": 40,
        "component": AUDITED,
        "names": ["melanoma", "other"],
        "toward": "negative",
    }
    audit = {**known, **verdict(frame, 0.5), **about}
    return {f.name: f for f in findings(frame, relevances_of(), audit)}


def test_the_papers_numbers():
    """Sec. 5.4: melanoma from 80.5 to 59.9 %, and by 5.1 +- 2.0 instead of 20.6 +- 2.1 %."""
    found = said(PAPER)
    assert all(f.holds for f in found.values())
    assert found["shortcut"].numbers == "for melanoma (80.5 to 59.9 %, a fall of +20.6 ± 2.1 %)"
    assert "+5.1 ± 2.0 % instead of +20.6 ± 2.1 %" in found["repair"].numbers


def test_nothing_to_repair():
    flat = {key: ([0.8, 0.8, 0.79], [0.7, 0.7, 0.7]) for key in PAPER}
    found = said(flat)
    assert found["shortcut"].holds is False
    assert found["repair"].holds is None
    assert found["strength"].holds is None
    assert found["less_relevant"].holds is None


def test_a_class_that_is_never_told_cannot_fall():
    none = {key: ([0.0] * 3, [0.05] * 3) for key in PAPER}
    frame = accuracies_of(none, n=(3, 3))
    audit = {"component": AUDITED, "names": ["a", "b"], "toward": "negative", "n_low": 40, "n_high": 40}
    audit |= verdict(frame, 0.5)
    found = {f.name: f.holds for f in findings(frame, relevances_of(), audit)}
    assert found["shortcut"] is None


def test_a_repair_that_does_not_help():
    same = {key: PAPER["plain", 0.0] for key in PAPER}
    found = said(same)
    assert found["shortcut"].holds
    assert found["repair"].holds is False
    assert found["strength"].holds is False


@pytest.mark.parametrize(("component", "holds"), [(AUDITED, True), (0, False), (LATENTS - 1, True)])
def test_relevance_in_both_probes(component, holds):
    """The last component speaks against the class, and less so in the robust probe."""
    frame = relevances_of()
    last = (frame["component"] == LATENTS - 1) & (frame["probe"] == "robust")
    frame.loc[last, ["share", "relevance"]] /= 2
    frame.loc[(frame["component"] == 0) & (frame["probe"] == "robust"), "share"] += 1
    audit = {
        "component": component,
        **{"n_low": 40, "n_high": 40},
        "names": ["a", "b"],
        "toward": "negative",
        **verdict(accuracies_of(PAPER), 0.5),
    }
    found = {f.name: f for f in findings(accuracies_of(PAPER), frame, audit)}
    assert found["less_relevant"].holds is holds
