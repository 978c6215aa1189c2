import math

import pandas as pd
import pytest

from reliance.base.artifacts import derived_stamp, write_table
from reliance.base.errors import RelianceError
from reliance.failures.case_list import (
    COLUMNS,
    FAILURE_SAMPLES,
    KIND,
    SCHEMA,
    read_failures,
    read_samples,
    write_failures,
)

STAMP = derived_stamp(KIND, SCHEMA, {"dataset": "here"}, {})


def frame(**changes):
    row = {
        "failure_id": "3-7-abcdef12",
        "rank": 1,
        "kind": "spurious",
        "mode": "",
        "class_id": 3,
        "source": "mined",
        "component": 7,
        "score": 0.1 + 0.2,
        "q_value": 1e-300,
        "reviewed": "no",
        "note": "",
    }
    return pd.DataFrame([{**row, **changes}])


def write(path, **changes):
    text = "\t".join(COLUMNS) + "\n"
    row = {name: str(value) for name, value in frame().iloc[0].items()} | changes
    path.write_text(text + "\t".join(row[name] for name in COLUMNS) + "\n")
    return path


NOTES = [
    "",
    "plain",
    'tab\tand "quotes"',
    "two\nlines\r\nand \r",
    "<script>alert(1)</script>",
    "\x00\x1b[31m",
    "ü ☃",
]


@pytest.mark.parametrize("note", NOTES)
def test_a_list_survives_writing_and_reading(tmp_path, note):
    path = tmp_path / "failures.tsv"
    write_failures(path, frame(note=note), STAMP, gone=["1-2-abcdef12"])
    found, stamp = read_failures(path)
    assert stamp == STAMP
    pd.testing.assert_frame_equal(found, frame(note=note), check_dtype=False)


def test_missing_numbers_are_empty_cells(tmp_path):
    path = tmp_path / "failures.tsv"
    write_failures(path, frame(score=None, q_value=float("nan")), STAMP)
    assert "\t\t\tno" in path.read_text()
    found, _ = read_failures(path)
    assert math.isnan(found["score"][0]) and math.isnan(found["q_value"][0])


def test_an_empty_list_is_a_list(tmp_path):
    write_failures(tmp_path / "failures.tsv", frame()[:0], STAMP)
    found, _ = read_failures(tmp_path / "failures.tsv")
    assert list(found.columns) == list(COLUMNS) and not len(found)


def test_a_list_by_hand_is_known_by_its_content(tmp_path):
    first = read_failures(write(tmp_path / "a.tsv"))[1]
    second = read_failures(write(tmp_path / "b.tsv", note="other"))[1]
    assert first.kind == KIND and first.id != second.id


def test_editing_a_written_list_in_place_is_refused(tmp_path):
    path = tmp_path / "failures.tsv"
    write_failures(path, frame(), STAMP)
    path.write_text(path.read_text().replace("spurious", "compound"))
    with pytest.raises(RelianceError, match="not edited in place"):
        read_failures(path)


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("kind", "odd", "polysemous"),
        ("source", "me", "planted"),
        ("mode", "x", "artefact"),
        ("class_id", "1.5", "whole number"),
        ("class_id", "", "whole number"),
        ("score", "high", "a number"),
        ("reviewed", "maybe", "yes"),
        ("failure_id", "", "1 to 100"),
        ("note", "n" * 2001, "2000"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(tmp_path, column, value, allowed):
    with pytest.raises(RelianceError) as caught:
        read_failures(write(tmp_path / "list.tsv", **{column: value}))
    assert f"line 2, column {column}" in caught.value.where and allowed in caught.value.allowed


def test_missing_columns_and_repeated_ids_are_refused(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("failure_id kind\n")
    with pytest.raises(RelianceError, match="separated by tabs"):
        read_failures(path)
    lines = write(path).read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(RelianceError, match="unique"):
        read_failures(path)


def test_samples_are_read_with_and_without_a_stamp(tmp_path):
    samples = pd.DataFrame(
        {"failure_id": ["a", "a"], "dataset": "here", "split": "train", "image_id": [4, 2]}
    )
    write_table(tmp_path / "own.parquet", samples, FAILURE_SAMPLES, {}, {"failures": STAMP.id})
    samples.to_parquet(tmp_path / "foreign.parquet")
    for name in ("own", "foreign"):
        found, stamp = read_samples(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(found, samples, check_dtype=False)
        assert stamp.kind == "failure_samples"
    samples.drop(columns="split").to_parquet(tmp_path / "short.parquet")
    with pytest.raises(RelianceError, match="split"):
        read_samples(tmp_path / "short.parquet")
    samples.assign(image_id=0.5).to_parquet(tmp_path / "float.parquet")
    with pytest.raises(RelianceError, match="fractions"):
        read_samples(tmp_path / "float.parquet")
