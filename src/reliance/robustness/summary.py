"""The table of the robustness benchmark, and means over its cases (Fig. 5, Fig. 14, Table 1).

A group of cases is (section, kind, mode). Sections keep apart what must not be averaged silently:
`found` holds the cases of the averaged sources, `planted` what was drawn into an embedded data set
on purpose, by mode (learned from captions, or only in the labelled data), and every other source
is a section of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec, read_table
from reliance.base.errors import RelianceError
from reliance.base.failure_kinds import FAILURE_KINDS, PAPER_KINDS
from reliance.base.means import mean_and_error

ROBUSTNESS = TableSpec(
    "robustness",
    3,
    (
        ("failure_id", "string"),
        ("kind", "string"),
        ("mode", "string"),
        ("source", "string"),
        ("discovered_on", "string"),
        ("probe", "string"),
        ("spurious_auc", "float64"),
        ("valid_auc", "float64"),
        ("spurious_se", "float64"),
        ("valid_se", "float64"),
        ("n_class", "int64"),
        ("n_distractors", "int64"),
        ("n_other", "int64"),
        ("spurious_ap", "float64"),  # average precision in place of the area: depends on the two numbers
    ),
)
PROBES = ("short", "templated", "extended", "both", "linear")
MODES = ("", "caption", "artefact")
FOUND, PLANTED = "found", "planted"
SOURCES = ("mined", "neuhaus")  # the paper averages its mined cases and the artefacts of Neuhaus et al.
GROUP = ["section", "kind", "mode"]


class Results(NamedTuple):
    """Benchmarks of one or several variants, in the order given."""

    frame: pd.DataFrame  # the columns of ROBUSTNESS, and variant, section, probe_kind
    ids: dict[str, str]  # variant -> id of its table


def read_results(paths: Sequence[Path], variants: Sequence[str]) -> Results:
    """Read the benchmark tables of variants and put every case in its section.

    Raises RelianceError if a table lists a case twice for one probe.
    """
    frames, ids = [], {}
    for path, variant in zip(paths, variants, strict=True):
        table = read_table(path, ROBUSTNESS)
        twice = table.frame[table.frame.duplicated(["source", "failure_id", "probe"])]
        if len(twice):
            raise RelianceError(
                path,
                "a case is benchmarked once per probe",
                found=f"{twice.failure_id.iloc[0]} ({twice.source.iloc[0]}) twice",
                allowed="one row per source, case and probe",
                next_step="a list of cases names it twice: correct the list and run the target again",
            )
        kind = table.stamp.params["probe_kind"]
        given = table.stamp.params.get("probe_given", "")
        frames.append(table.frame.assign(variant=variant, probe_kind=kind, probe_given=given))
        ids[variant] = table.stamp.id
    frame = pd.concat(frames, ignore_index=True)
    return Results(frame.assign(section=sections(frame["source"])), ids)


def sections(source: pd.Series) -> pd.Series:
    """The section of each case from its source."""
    return source.where(~source.isin(SOURCES), FOUND)


def groups(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(section, kind, mode) in the order of the figures; the four kinds of `found` even if empty."""
    present = set(frame[GROUP].drop_duplicates().itertuples(index=False, name=None))
    present |= {(FOUND, kind, "") for kind in PAPER_KINDS}
    return sorted(present, key=_order)


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with both areas; a case without distractors has none."""
    return frame[frame["spurious_auc"].notna() & frame["valid_auc"].notna()]


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over cases per group, variant and probe.

    Columns: section, kind, mode, variant, probe, n_cases, n_left_out (cases without an area),
    spurious_auc, spurious_sem, valid_auc, valid_sem (std(ddof=1)/sqrt(n_cases); nan for one case),
    spurious_se, valid_se (DeLong, of the single case; nan otherwise), spurious_ap (mean). Groups without a
    case have no row.
    """
    rows = []
    for key, part in frame.groupby([*GROUP, "variant", "probe"], sort=False):
        kept = usable(part)
        spurious, spurious_sem, n = mean_and_error(kept["spurious_auc"].to_numpy())
        valid, valid_sem, _ = mean_and_error(kept["valid_auc"].to_numpy())
        single = kept[["spurious_se", "valid_se"]].iloc[0].to_list() if n == 1 else [np.nan, np.nan]
        precision = kept["spurious_ap"].mean()
        rows.append((*key, n, len(part) - n, spurious, spurious_sem, valid, valid_sem, *single, precision))
    columns = [*GROUP, "variant", "probe", "n_cases", "n_left_out"]
    columns += ["spurious_auc", "spurious_sem", "valid_auc", "valid_sem", "spurious_se", "valid_se"]
    columns += ["spurious_ap"]
    return pd.DataFrame(rows, columns=columns)


def differences(frame: pd.DataFrame, probe: str, baseline: str) -> pd.DataFrame:
    """Spurious AUC of `probe` minus that of `baseline`, case by case (paired).

    Columns: section, kind, mode, variant, source, failure_id, difference; usable cases only.
    """
    keys = [*GROUP, "variant", "source", "failure_id"]
    wide = usable(frame).pivot(index=keys, columns="probe", values="spurious_auc")
    wide = wide.reindex(columns=[probe, baseline])
    return (wide[probe] - wide[baseline]).dropna().rename("difference").reset_index()


def same_cases(frame: pd.DataFrame) -> bool:
    """Whether all variants were scored on the same cases, so that their means can be compared."""
    lists = [frozenset(zip(p["source"], p["failure_id"], strict=True)) for _, p in frame.groupby("variant")]
    return len(set(lists)) <= 1


def _order(group: tuple[str, str, str]) -> tuple[object, ...]:
    section, kind, mode = group
    ranks = [(FOUND, PLANTED), tuple(FAILURE_KINDS), MODES]
    places = [r.index(v) if v in r else len(r) for r, v in zip(ranks, group, strict=True)]
    return (places[0], section, places[1], kind, places[2], mode)
