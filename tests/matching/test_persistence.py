"""What becomes of failure cases in another model, against a look at each one alone."""

from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.base.artifacts import derived_stamp, read_table, write_table
from reliance.failures.case_list import COLUMNS, write_failures
from reliance.matching.persistence import OUTCOMES, PERSISTENCE, outcomes, persist_failures
from reliance.matching.schema import MATCHES

CASES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), unique=True, max_size=6)


def cases(pairs: list[tuple[int, int]], name: str = "a") -> pd.DataFrame:
    frame = pd.DataFrame(pairs, columns=["class_id", "component"])
    return frame.assign(failure_id=[f"{name}{i}" for i in range(len(frame))], kind="other")


def slow(case: tuple[int, int], there: list[tuple[int, int]], match: int, r: float) -> str:
    found = match >= 0 and r >= 0.5
    if found and (case[0], match) in there:
        return "persists"
    if any(class_id == case[0] for class_id, _ in there):
        return "elsewhere"
    return "gone" if found else "unseen"


@settings(max_examples=50, deadline=None)
@given(CASES, CASES, st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 1)), min_size=4, max_size=4))
def test_outcomes_are_those_of_a_look_at_each_case(here, there, matched) -> None:
    matches = pd.DataFrame(matched, columns=["match", "correlation"]).assign(component=range(4))
    found = outcomes(cases(here), cases(there, "b"), matches, 0.5)
    assert found["failure_id"].tolist() == [f"a{i}" for i in range(len(here))]
    assert found["outcome"].tolist() == [slow(c, there, *matched[c[1]]) for c in here]
    for case, other in zip(here, found["other_failure"], strict=True):
        assert not other or there[int(other[1:])] == (case[0], matched[case[1]][0])


def write_made(folder: Path) -> dict[str, object]:
    """Two models with two cases each, of which one is the same; and one that is mined nowhere."""
    names = {name: i for i, (name, _) in enumerate(MATCHES.columns)}
    rows = []
    for one, other, pairs in (("small", "large", {0: 1, 1: 0}), ("large", "small", {0: 1, 1: 0})):
        for unit, match in pairs.items():
            row = [one, unit, other, match, 0.9, match, 0.9, True, float("nan"), -1, float("nan")]
            rows.append(row)
    write_table(folder / "m.parquet", pd.DataFrame(rows, columns=list(names)), MATCHES, {}, {})
    for name, pairs in (("small", [(0, 0), (1, 1)]), ("large", [(0, 1), (2, 0)])):
        frame = cases(pairs, name[0]).assign(rank=1, mode="", source="mined", score=1.0, q_value=0.1)
        external = frame.iloc[:1].assign(failure_id="x", source="planted")
        frame = pd.concat([frame, external]).assign(reviewed="no", note="")[[*COLUMNS]]
        write_failures(folder / f"{name}.tsv", frame, derived_stamp("failures", 2, {"n": name}, {}))
    return {"matches": folder / "m.parquet", "failures": [folder / f"{n}.tsv" for n in ("small", "large")]}


def test_the_stage_writes_every_mined_case_in_every_other_model(tmp_path: Path) -> None:
    out = tmp_path / "p.parquet"
    persist_failures(**write_made(tmp_path), variants=["small", "large"], persistence=out)  # type: ignore[arg-type]
    frame, stamp = read_table(out, PERSISTENCE)
    assert frame[["variant", "failure_id", "outcome", "other_failure"]].to_numpy().tolist() == [
        ["small", "s0", "persists", "l0"],
        ["small", "s1", "gone", ""],
        ["large", "l0", "persists", "s0"],
        ["large", "l1", "gone", ""],
    ]
    assert set(frame["outcome"]) <= set(OUTCOMES)
    assert set(stamp.inputs) == {"matches", "failures_0", "failures_1"}
