import numpy as np
import pandas as pd
import pytest

from reliance.base.claims import bullets
from reliance.robustness.findings import MARGIN, findings
from reliance.robustness.summary import ROBUSTNESS, sections

NAMES = [name for name, _ in ROBUSTNESS.columns]


def frame_of(kind, areas, source="mined", mode="", variant="a", valid=0.99, probe_kind="logistic"):
    """areas: {probe: areas of the cases}; valid: one for all, or {probe: area}."""
    valids = valid if isinstance(valid, dict) else dict.fromkeys(areas, valid)
    rows = [
        (str(i), kind, mode, source, "a", probe, area, valids[probe], 0.1, 0.1, 5, 5, 5, 0.5)
        for probe, values in areas.items()
        for i, area in enumerate(values)
    ]
    frame = pd.DataFrame(rows, columns=NAMES).assign(variant=variant, probe_kind=probe_kind)
    return frame.assign(section=sections(frame["source"]))


def by_name(frame):
    return {f.name: f for f in findings(frame)}


@pytest.mark.parametrize(
    ("extended", "holds"),
    [([0.9, 0.91, 0.92], True), ([0.2, 0.21, 0.22], False), ([0.2, 0.9, 0.6], None), ([0.9], None)],
)
def test_full_names_repair_polysemy_or_not(extended, holds):
    short = [0.5, 0.52, 0.51][: len(extended)]
    finding = by_name(frame_of("polysemous", {"short": short, "extended": extended}))
    assert finding["full_names:found:polysemous"].holds is holds


@pytest.mark.parametrize(
    ("shift", "spread", "holds"),
    [(0.0, 0.001, True), (0.2, 0.001, False), (-0.2, 0.001, False), (0.0, 0.2, None)],
)
def test_a_small_difference_is_one_whose_interval_is_small(shift, spread, holds):
    short = np.full(4, 0.7)
    extended = short + shift + spread * np.array([-1, 1, -0.5, 0.5])
    finding = by_name(frame_of("spurious", {"short": short, "extended": extended}))
    assert finding["full_names:found:spurious"].holds is holds
    assert str(MARGIN) in finding["full_names:found:spurious"].statement


@pytest.mark.parametrize(
    ("short", "linear", "valid", "holds"),
    [
        ([0.80, 0.81, 0.82], [0.90, 0.91, 0.92], {"short": 0.99, "linear": 0.99}, True),
        # the probe ranks everything better, distractors and others alike: not more robust
        ([0.80, 0.81, 0.82], [0.90, 0.91, 0.92], {"short": 0.89, "linear": 0.99}, None),
        # the gap is wider although the spurious area is larger
        ([0.80, 0.81, 0.82], [0.82, 0.83, 0.84], {"short": 0.85, "linear": 0.99}, None),
        # the gap is smaller only because everything else is ranked worse
        ([0.80, 0.81, 0.82], [0.78, 0.79, 0.80], {"short": 0.99, "linear": 0.85}, None),
        ([0.90, 0.91, 0.92], [0.80, 0.81, 0.82], {"short": 0.99, "linear": 0.99}, False),
        ([0.80, 0.81, 0.82], [0.795, 0.805, 0.815], {"short": 0.99, "linear": 0.99}, None),  # below LEAST
    ],
)
def test_ways_of_probing_are_compared_by_their_gaps(short, linear, valid, holds):
    found = by_name(frame_of("compound", {"short": short, "linear": linear}, valid=valid))
    assert found["probe_wins:found:compound"].holds is holds
    by_hand = np.mean(linear) - np.mean(short) - (valid["linear"] - valid["short"])
    assert f"gap closed by {by_hand:+.3f}" in found["probe_wins:found:compound"].statement


def test_a_finding_says_what_the_linear_probe_is():
    areas = {"short": [0.5, 0.52], "linear": [0.9, 0.93]}
    for kind, words in (("logistic", "(logistic regression)"), ("ridge", "(linear regression)")):
        found = by_name(frame_of("compound", areas, probe_kind=kind))
        assert words in found["probe_wins:found:compound"].claim
        assert words not in found["below_valid:found:compound"].claim


def test_text_against_probe_is_told_for_each_mode():
    text, probe = [0.9, 0.91, 0.92], [0.8, 0.82, 0.81]
    frame = pd.concat(
        [
            frame_of("spurious", {"short": text, "linear": probe}, "planted", "artefact"),
            frame_of("spurious", {"short": probe, "linear": text}, "planted", "caption"),
        ]
    )
    found = by_name(frame)
    assert found["text_wins:planted:spurious:artefact"].holds is True
    assert found["text_wins:planted:spurious:caption"].holds is False
    assert (
        "does not hold on planted cases learned from captions"
        in found["text_wins:planted:spurious:caption"].statement
    )


def test_variants_are_averaged_per_case_so_that_cases_are_the_sample():
    frames = [
        frame_of("compound", {"short": [0.5, 0.6], "extended": [0.7, 0.8]}, variant="a"),
        frame_of("compound", {"short": [0.5, 0.6], "extended": [0.5, 0.7]}, variant="b"),
    ]
    statement = by_name(pd.concat(frames))["full_names:found:compound"].statement
    assert "+0.125" in statement  # case means 0.1 and 0.15
    assert "2 cases" in statement


def test_distractors_are_harder_than_other_images():
    found = by_name(frame_of("typography", {"short": [0.5, 0.6, 0.55]}))
    assert found["below_valid:found:typography"].holds is True
    assert list(found) == ["below_valid:found:typography"]  # nothing is said about probes that are not there


def test_cases_without_an_area_are_left_out():
    frame = frame_of("polysemous", {"short": [0.5, np.nan], "extended": [0.6, np.nan]})
    assert "one case" in by_name(frame)["full_names:found:polysemous"].statement


def test_no_case_no_finding():
    frame = frame_of("polysemous", {"short": []})
    assert findings(frame) == []


def test_bullets_have_a_line_per_claim():
    areas = {"short": [0.5, 0.52], "extended": [0.9, 0.93]}
    frame = pd.concat([frame_of("polysemous", areas), frame_of("polysemous", areas, "planted", "caption")])
    lines = [line for line in bullets(findings(frame)).splitlines() if "Full names" in line]
    assert len(lines) == 1
    assert lines[0].count("**holds**") == 2
