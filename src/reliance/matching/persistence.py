"""Stage `persist_failures`: which failures of a model are those of another one, and which it has alone.

A case is a class and a unit that its prompt is fooled through. In another dictionary its unit is the one that
`match_units` pairs it with, if both are as correlated as `found_again` asks for. So a case of one variant

    persists   in another one that has a case of the same class through the same unit
    elsewhere  if the class has a case there, but through another unit
    gone       if the same unit is there and the class has no case
    unseen     if neither is
"""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pandas as pd

from reliance.base.artifacts import TableSpec, read_table, write_table
from reliance.failures.case_list import read_failures
from reliance.matching.schema import MATCHES

PERSISTENCE = TableSpec(
    "persistence",
    1,
    (
        ("variant", "string"),
        ("failure_id", "string"),
        ("kind", "string"),
        ("class_id", "int32"),
        ("component", "int32"),
        ("other", "string"),  # the variant that it is looked for in
        ("match", "int32"),  # the same unit there, -1: none
        ("correlation", "float32"),  # with it; 0 if there is none
        ("outcome", "string"),  # one of OUTCOMES
        ("other_failure", "string"),  # the case there that it persists as; "" if it does not
    ),
)
OUTCOMES = ("persists", "elsewhere", "gone", "unseen")


def persist_failures(
    *,
    matches: Path,
    failures: Sequence[Path],
    variants: Sequence[str],
    persistence: Path,
    found_again: float = 0.7,
) -> None:
    """Write PERSISTENCE of the mined cases of each variant in each other one.

    failures : the lists of the variants, which mine their own cases. Raises RelianceError for lists that
    are damaged.
    """
    found, stamp = read_table(matches, MATCHES)
    lists = {name: read_failures(path) for name, path in zip(variants, failures, strict=True)}
    cases = {name: frame[frame["source"] == "mined"] for name, (frame, _) in lists.items()}
    frame = pd.concat(
        [
            outcomes(cases[one], cases[other], _between(found, one, other), found_again).assign(
                variant=one, other=other
            )
            for one, other in permutations(variants, 2)
        ],
        ignore_index=True,
    )
    inputs = {"matches": stamp.id} | {f"failures_{i}": lists[n][1].id for i, n in enumerate(variants)}
    settings = {"variants": [*variants], "found_again": found_again}
    write_table(persistence, frame[[n for n, _ in PERSISTENCE.columns]], PERSISTENCE, settings, inputs)


def outcomes(
    cases: pd.DataFrame, others: pd.DataFrame, matches: pd.DataFrame, found_again: float
) -> pd.DataFrame:
    """What becomes of cases among the others; columns of PERSISTENCE but for the variants.

    cases, others : mined ones. matches : component, match, correlation of the units of the first.
    """
    kept = cases[["failure_id", "kind", "class_id", "component"]]
    found = kept.merge(matches[["component", "match", "correlation"]], on="component", how="left")
    there = (found["match"] >= 0) & (found["correlation"] >= found_again)
    found["match"] = found["match"].where(there, -1).astype("int32")
    found["correlation"] = found["correlation"].where(there, 0.0)
    named = {
        (c, u): i
        for c, u, i in zip(others["class_id"], others["component"], others["failure_id"], strict=True)
    }
    pairs = zip(found["class_id"], found["match"], strict=True)
    found["other_failure"] = [named.get(pair, "") for pair in pairs]
    fooled = found["class_id"].isin(set(others["class_id"]))
    found["outcome"] = "unseen"
    found.loc[there, "outcome"] = "gone"
    found.loc[fooled, "outcome"] = "elsewhere"
    found.loc[found["other_failure"] != "", "outcome"] = "persists"
    return found


def _between(matches: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    return matches[(matches["variant"] == one) & (matches["other"] == other)]
