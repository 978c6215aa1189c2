"""From the benchmark's numbers to the panels that Figs. 5 and 14 draw."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, derived_stamp
from reliance.figures import style
from reliance.figures.robustness.dots import Panel, Row, Strip
from reliance.robustness.summary import FOUND, GROUP, PLANTED, Results, groups, usable

HEADERS = {FOUND: "Found cases", PLANTED: "Planted cases (all their distractors)"}
MODES = {"caption": "captions", "artefact": "labels only"}
EMPTY = Row(np.nan, np.nan, np.nan, np.nan, np.zeros(0))
SCHEMA = 1


def stamp_of(kind: str, results: Results, heading: str, skipped_lists: Sequence[str]) -> Stamp:
    """Identity of a figure: its kind, what it says beside the numbers, and the benchmarks it shows."""
    params = {"heading": heading, "skipped_lists": list(skipped_lists), "variants": list(results.ids)}
    return derived_stamp(kind, SCHEMA, params, results.ids)


def strips_of(
    numbers: pd.DataFrame, variants: Sequence[str], probes: Sequence[str], cases: pd.DataFrame | None = None
) -> list[Strip]:
    """Panels per section and group.

    Parameters
    ----------
    numbers : from `summary.summarise`.
    variants, probes : in the order of the rows.
    cases : rows per case (`summary.read_results`): each is drawn too, and a single case gets its
        DeLong standard error as error bar; None: means alone, no bar for a single case.
    """
    everything = groups(numbers)
    sections = []
    for name in dict.fromkeys(section for section, _, _ in everything):
        panels = [_panel(g, numbers, variants, probes, cases) for g in everything if g[0] == name]
        sections.append(Strip(HEADERS.get(name, f"Cases from {name}"), name != FOUND, panels))
    return [sections[0]._replace(header="")] if len(sections) == 1 else sections


def _panel(
    group: tuple[str, str, str],
    numbers: pd.DataFrame,
    variants: Sequence[str],
    probes: Sequence[str],
    cases: pd.DataFrame | None,
) -> Panel:
    _, kind, mode = group
    look = style.FAILURES.get(kind)
    name = look.label if look else kind
    part = _of(numbers, group)
    counts = part["n_cases"].unique()
    rows = [[_row(part, variant, probe, group, cases) for probe in probes] for variant in variants]
    note = _note(counts, mode, cases is not None)
    empty = "no usable case" if len(counts) else "no case found"
    return Panel(name, note, rows if counts.any() else [], empty)


def _row(
    part: pd.DataFrame, variant: str, probe: str, group: tuple[str, str, str], cases: pd.DataFrame | None
) -> Row:
    chosen = part[(part["variant"] == variant) & (part["probe"] == probe)]
    if chosen.empty:
        return EMPTY
    mean = chosen.iloc[0]
    if cases is None:
        return Row(mean.spurious_auc, mean.valid_auc, mean.spurious_sem, mean.valid_sem, np.zeros(0))
    single = mean.n_cases == 1
    own = usable(_of(cases, group))
    own = own[(own["variant"] == variant) & (own["probe"] == probe)]
    return Row(
        mean.spurious_auc,
        mean.valid_auc,
        mean.spurious_se if single else mean.spurious_sem,
        mean.valid_se if single else mean.valid_sem,
        own["spurious_auc"].to_numpy(),
    )


def _of(frame: pd.DataFrame, group: tuple[str, str, str]) -> pd.DataFrame:
    return frame[(frame[GROUP] == list(group)).all(axis=1)]


def _note(counts: np.ndarray, mode: str, detailed: bool) -> str:
    """Number of cases, which may differ between variants, and the mode of planted ones."""
    words = [MODES.get(mode, mode)] if mode else []
    if counts.any():
        low, high = counts.min(), counts.max()
        words.append(f"{low} to {high} cases" if low < high else f"{high} case{'s' if high > 1 else ''}")
        if high == 1:
            words.append("bar: DeLong" if detailed else "no SEM")
    return ", ".join(words)
