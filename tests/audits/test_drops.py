"""How far accuracies fall, and the verdict on a shortcut."""

import numpy as np
import pandas as pd
import pytest

from reliance.audits.drops import drop_of, verdict


def frame(**accuracies):
    """ACCURACIES with the given accuracies of the positives (n = 100) and 0.9 of the negatives."""
    rows = []
    for name, values in accuracies.items():
        probe, alpha = ("plain", 0.0) if name == "plain" else ("robust", float(name[1:]) / 100)
        for change, value in zip(("none", "increased"), values, strict=True):
            for positive, p in ((True, value), (False, 0.9)):
                rows.append((probe, alpha, change, positive, 100, p, np.sqrt(p * (1 - p) / 100), 0.01))
    columns = ["probe", "alpha", "change", "positive", "n", "accuracy", "sem", "paired_sem"]
    return pd.DataFrame(rows, columns=columns)


def test_the_error_of_the_papers_drop():
    """907 melanomas: 80.5 % falls to 59.9 %, by 20.6 +- 2.1 % (Sec. 5.4)."""
    errors = [np.sqrt(p * (1 - p) / 907) for p in (0.805, 0.599)]
    assert 100 * np.hypot(*errors) == pytest.approx(2.1, abs=0.05)
    table = frame(plain=(0.8, 0.6))
    found = drop_of(table, "plain", 0.0, True)
    assert found.drop == pytest.approx(0.2)
    assert found.sem == pytest.approx(np.sqrt(0.8 * 0.2 / 100 + 0.6 * 0.4 / 100), rel=0.01)
    p, q = 81 / 102, 61 / 102
    assert found.sem == pytest.approx(np.sqrt((p * (1 - p) + q * (1 - q)) / 100))


def test_a_fall_of_more_than_three_errors_is_a_claim():
    """0.8 to 0.6 has the error 0.063, so 3.15 errors; 0.8 to 0.62 has 2.86."""
    assert verdict(frame(plain=(0.8, 0.6), r50=(0.8, 0.75)), 0.5)["claim"]
    found = verdict(frame(plain=(0.8, 0.62), r50=(0.8, 0.75)), 0.5)
    assert not found["claim"]
    assert found["halved"] is None
    assert found["fallen"] == ""


@pytest.mark.parametrize(("after", "halved"), [(0.69, False), (0.71, True), (0.9, True)])
def test_halved(after, halved):
    """Of 0.2, half is 0.1; rounding decides at the limit itself, so it is not tried."""
    found = verdict(frame(plain=(0.8, 0.6), r50=(0.8, after), r100=(0.8, 0.1)), 0.5)
    assert found["fallen"] == "positive"
    assert found["halved"] is halved


def test_a_rise_is_no_claim():
    assert not verdict(frame(plain=(0.5, 0.9), r50=(0.5, 0.5)), 0.5)["claim"]


def test_the_class_that_falls_further_counts():
    table = frame(plain=(0.9, 0.6), r50=(0.9, 0.8))
    worse = ~table["positive"] & (table["change"] == "increased") & (table["probe"] == "plain")
    table.loc[worse, "accuracy"] = 0.2
    assert verdict(table, 0.5)["fallen"] == "negative"


def test_a_fall_of_one_image_is_no_claim_and_that_of_a_hundred_is():
    table = frame(plain=(1.0, 0.0), r50=(1.0, 1.0))
    assert verdict(table, 0.5)["claim"]
    assert not verdict(table.assign(n=1), 0.5)["claim"]
    assert not verdict(frame(plain=(1.0, 1.0), r50=(1.0, 1.0)), 0.5)["claim"]
