"""Captions say how many of the mined cases a person has looked at."""

import pandas as pd

from reliance.base.artifacts import derived_stamp
from reliance.failures.case_list import COLUMNS, KIND, SCHEMA, write_failures
from reliance.figures.robustness.captions import reviewed


def listed(path, flags):
    rows = [
        dict(zip(COLUMNS, (f"{i}-1-abc", 1, "other", "", i, "mined", 1, 1.0, 0.1, flag, ""), strict=True))
        for i, flag in enumerate(flags)
    ]
    stamp = derived_stamp(KIND, SCHEMA, {"name": path.name}, {})
    write_failures(path, pd.DataFrame(rows, columns=list(COLUMNS)), stamp)
    return path


def test_reviews_are_counted_over_lists_each_once(tmp_path):
    one, two = listed(tmp_path / "a.tsv", ["yes", "no"]), listed(tmp_path / "b.tsv", ["yes"])
    (said,) = reviewed([one, one, two])
    assert said.startswith("Reviewed by a person: 2 of 3 mined cases. The kinds of the others")
    assert reviewed([two]) == ["Reviewed by a person: 1 of 1 mined cases."]


def test_without_mined_cases_nothing_is_said(tmp_path):
    assert reviewed([]) == reviewed([listed(tmp_path / "a.tsv", [])]) == []
