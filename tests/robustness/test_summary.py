import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.base.failure_kinds import PAPER_KINDS
from reliance.robustness import summary
from reliance.robustness.summary import ROBUSTNESS, differences, groups, read_results, same_cases, summarise


def case(failure_id, spurious, kind="compound", source="mined", mode="", valid=1.0, probe="short"):
    row = (failure_id, kind, mode, source, "a", probe, spurious, valid, 0.01, 0.02, 5, 5, 5, 0.4)
    return dict(zip([name for name, _ in ROBUSTNESS.columns], row, strict=True))


def frame_of(*rows, variant="a"):
    frame = pd.DataFrame(rows).assign(variant=variant)
    return frame.assign(section=summary.sections(frame["source"]))


def test_means_and_errors_by_hand():
    row = summarise(frame_of(case("1", 0.5), case("2", 0.7), case("3", np.nan))).iloc[0]
    assert row.spurious_auc == pytest.approx(0.6)
    assert row.spurious_sem == pytest.approx(0.1)  # std(ddof=1) = 0.2/sqrt(2), over sqrt(2)
    assert (row.n_cases, row.n_left_out) == (2, 1)
    assert np.isnan(row.spurious_se)


def test_one_case_has_no_sem_but_its_own_error():
    row = summarise(frame_of(case("1", 0.5))).iloc[0]
    assert np.isnan(row.spurious_sem)
    assert (row.spurious_se, row.valid_se) == (0.01, 0.02)


def test_planted_and_mined_are_never_averaged_nor_the_two_modes():
    frame = frame_of(
        case("1", 0.5, "spurious"),
        case("2", 0.9, "spurious", "planted", "caption"),
        case("3", 0.7, "spurious", "planted", "artefact"),
        case("4", 0.6, "spurious", "neuhaus"),
        case("5", 0.2, "spurious", "user"),
    )
    table = summarise(frame).set_index(["section", "mode"])["spurious_auc"]
    assert table["found", ""] == pytest.approx(0.55)
    assert table["planted", "caption"] == 0.9
    assert table["planted", "artefact"] == 0.7
    assert table["user", ""] == 0.2


def test_groups_come_in_the_order_of_the_figures():
    frame = frame_of(
        case("1", 0.5, "spurious", "planted", "artefact"),
        case("2", 0.5, "spurious", "planted", "caption"),
        case("3", 0.5, "other", "user"),
        case("4", 0.5, "other"),
    )
    assert groups(frame) == [
        ("found", "polysemous", ""),
        ("found", "compound", ""),
        ("found", "typography", ""),
        ("found", "spurious", ""),
        ("found", "other", ""),
        ("planted", "spurious", "caption"),
        ("planted", "spurious", "artefact"),
        ("user", "other", ""),
    ]


def test_differences_are_paired():
    frame = frame_of(
        case("1", 0.5),
        case("2", 0.7),
        case("1", 0.8, probe="both"),
        case("2", 0.9, probe="both"),
        case("3", 0.1),
    )
    found = differences(frame, "both", "short").set_index("failure_id")["difference"]
    assert found.to_dict() == pytest.approx({"1": 0.3, "2": 0.2})


def test_differences_without_the_probe_are_none():
    assert differences(frame_of(case("1", 0.5)), "linear", "short").empty


def test_same_cases():
    one, two = frame_of(case("1", 0.5)), frame_of(case("1", 0.6), variant="b")
    assert same_cases(pd.concat([one, two]))
    assert not same_cases(pd.concat([one, two, frame_of(case("2", 0.6), variant="b")]))


def test_read_results_refuses_a_case_listed_twice(tmp_path):
    path = tmp_path / "robustness.parquet"
    write_table(
        path, pd.DataFrame([case("1", 0.5), case("1", 0.6)]), ROBUSTNESS, {"probe_kind": "logistic"}, {}
    )
    with pytest.raises(RelianceError, match="1 \\(mined\\) twice"):
        read_results([path], ["a"])


def test_read_results_keeps_the_order_and_the_ids(tmp_path):
    paths = []
    for name in "ba":
        paths.append(tmp_path / f"{name}.parquet")
        write_table(
            paths[-1],
            pd.DataFrame([case(name, 0.5)]),
            ROBUSTNESS,
            {"variant": name, "probe_kind": "logistic"},
            {},
        )
    results = read_results(paths, ["b", "a"])
    assert results.frame["variant"].to_list() == ["b", "a"]
    assert list(results.ids) == ["b", "a"]
    assert results.ids["a"] != results.ids["b"]


def test_an_empty_benchmark_can_be_read(tmp_path):
    path = tmp_path / "robustness.parquet"
    write_table(
        path,
        pd.DataFrame(columns=[name for name, _ in ROBUSTNESS.columns]),
        ROBUSTNESS,
        {"probe_kind": "logistic"},
        {},
    )
    results = read_results([path], ["a"])
    assert summarise(results.frame).empty
    assert groups(results.frame) == [("found", kind, "") for kind in PAPER_KINDS]
