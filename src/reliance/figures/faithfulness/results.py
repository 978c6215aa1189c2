"""From faithfulness tables to the panels of Figs. 3, 7 and 8, their numbers and their captions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same, read_json, read_table
from reliance.base.claims import Finding
from reliance.faithfulness.findings import findings
from reliance.faithfulness.schema import (
    CLASS_ORDERS,
    DROPPED,
    FAITHFULNESS,
    FROZEN,
    GLOBAL_DELETION,
    GREEDY,
    IMAGE_ORDERS,
    LOCAL_DELETION,
    LOCAL_INSERTION,
    METHODS,
    REFERENCE_DELETION,
    SUMMARY,
    SUMMARY_SCHEMA,
    UNRESTRICTED,
)
from reliance.faithfulness.summary import CURVE, curve, mean_y
from reliance.figures import style
from reliance.figures.captions import spread
from reliance.figures.faithfulness.curves import Curve, Panel, Row

LOCAL = (LOCAL_DELETION, LOCAL_INSERTION)
SHOWN = (LOCAL_DELETION, GLOBAL_DELETION, LOCAL_INSERTION)  # of Figs. 3 and 7
TITLES = {
    LOCAL_DELETION: "Local deletion",
    GLOBAL_DELETION: "Global deletion (average attributions)",
    LOCAL_INSERTION: "Local insertion",
}
ERROR_TERMS = {FROZEN: "Reconstruction error kept", DROPPED: "Reconstruction only"}
JUDGED = (
    "What the paper found, held against these numbers (mean gain in output y over the steps at which orders "
    "differ, and its 95 % interval by Student's t, paired over classes):"
)
RANDOM_BY_CLASS = (
    f"mean over {CLASS_ORDERS} orders per class of the latents that fire on its images, each of which is "
    "active in some of them only."
)
RANDOM = f"Random: local, mean over {IMAGE_ORDERS} orders per image; global, {RANDOM_BY_CLASS}"
LEAVE_ONE_OUT = "Leave one out: the exact change of the output without the latent."


class Result(NamedTuple):
    """One variant's curves."""

    frame: pd.DataFrame  # columns of FAITHFULNESS
    curves: pd.DataFrame  # from summary.curve
    means: pd.DataFrame  # from summary.mean_y
    summary: dict[str, Any]  # of the stage that made the table


Results = Mapping[str, Result]  # variant -> its curves


def read_results(
    tables: Sequence[Path], summaries: Sequence[Path], variants: Sequence[str]
) -> tuple[Results, dict[str, str]]:
    """Read the tables of variants with their summaries: (results, ids of all of them).

    Raises RelianceError if a summary is of another run than its table.
    """
    results: dict[str, Result] = {}
    ids: dict[str, str] = {}
    for variant, path, summary in zip(variants, tables, summaries, strict=True):
        frame, stamp = read_table(path, FAITHFULNESS)
        record, other = read_json(summary, SUMMARY, SUMMARY_SCHEMA)
        for name in stamp.inputs:
            check_same(name, (summary, other.inputs.get(name, "none")), (path, stamp.inputs[name]))
        results[variant] = Result(frame, curve(frame), mean_y(frame), record)
        ids |= {variant: stamp.id, f"{variant}.summary": other.id}
    return results, ids


def panel(
    result: Result,
    protocol: str,
    *,
    title: str,
    note: str = "",
    error_term: str = FROZEN,
    error: str = "sem_samples",
    unrestricted: bool = False,
) -> Panel:
    """One protocol on one variant: all methods, and the greedy order where there is one.

    Parameters
    ----------
    error : the column of the band, "sem_subsets" or "sem_samples".
    unrestricted : also draw the local orders over all latents, active or not.
    """
    local = protocol in LOCAL
    keys = [(protocol, method, error_term, local) for method in (*METHODS, GREEDY)]
    if unrestricted and local:
        keys += [(protocol, method, error_term, False) for method in UNRESTRICTED]
    curves, means = (
        dict(tuple(t[(t["protocol"] == protocol) & (t["error_term"] == error_term)].groupby(CURVE)))
        for t in (result.curves, result.means)
    )
    shown = [_curve(key, curves[key], means[key].iloc[0], error) for key in keys if key in curves]
    better = "higher" if protocol == LOCAL_INSERTION else "lower"
    return Panel(title, note or f"{better} is more faithful", shown)


def _curve(key: tuple[str, str, str, bool], steps: pd.DataFrame, mean: pd.Series, error: str) -> Curve:
    protocol, method, _, restricted = key
    look, free = style.METHODS[method], protocol in LOCAL and not restricted
    if free:
        look = look._replace(label=f"{look.label}, all latents", dashes=(2.5, 2))
    ordered = steps.sort_values("step")
    value = f"{100 * mean['mean_y']:.2f}"
    if not np.isnan(mean["sem"]):
        value += f" ± {100 * mean['sem']:.2f}"
    y, width = (100 * ordered[column].to_numpy() for column in ("y", error))
    return Curve(look, y, width, value.replace("-", "−"), free or method == GREEDY)


def local_and_global(result: Result, header: str = "", **chosen: Any) -> Row:
    """The three panels of Figs. 3 and 7; `chosen` as in `panel`."""
    return Row(header, [panel(result, protocol, title=TITLES[protocol], **chosen) for protocol in SHOWN])


def numbers_of(
    results: Results, protocols: Sequence[str], error_terms: Sequence[str], free: bool
) -> pd.DataFrame:
    """The numbers behind a figure: per curve a row with its mean (`step` empty) and a row per step.

    Columns: variant, protocol, method, error_term, restrict_to_active, step, n, y, sem_subsets,
    sem_samples, mean_y, sem. `free`: also the local orders over all latents.
    """
    parts = []
    for variant, result in results.items():
        for table in (result.means, result.curves):
            kept = table["protocol"].isin(protocols) & table["error_term"].isin(error_terms)
            kept &= table["restrict_to_active"] | ~table["protocol"].isin(LOCAL) | free
            parts.append(table[kept].assign(variant=variant))
    columns = ["variant", *CURVE, "step", "n", "y", "sem_subsets", "sem_samples", "mean_y", "sem"]
    table = pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
    return table.astype({"step": "Int64", "n": "Int64"})


def sampled(results: Results, local: bool = True) -> str:
    """What was measured on, as sentences; `local`: local orders are shown."""
    said = {
        name: [r.summary[name] for r in results.values()] for name in ("images", "classes", "mean_active")
    }
    sentence = (
        f"{spread(said['images'], ',')} test images of {spread(said['classes'], ',')} classes, on average "
        f"{spread(said['mean_active'], '.1f')} active latents per image."
    )
    if local and any(r.summary["mean_active"] < r.summary["steps"] for r in results.values()):
        sentence += " Local curves end, or orders meet, where all active latents of an image are used up."
    return sentence


def gaps(results: Results, error_terms: Sequence[str] = (FROZEN,)) -> str:
    """How far Integrated Gradients are from completeness, as a sentence; a gap may be unknown (null)."""
    words = []
    for term in error_terms:
        found = [r.summary["completeness"][term] for r in results.values()]
        known = [100 * gap for gap in found if gap is not None]
        words.append(f"{spread(known, '.1f')} %" if known else "not known")
    where = " (reconstruction only)" if len(words) > 1 else ""
    path = spread([r.summary["path_steps"] for r in results.values()], "d")
    return f"Integrated Gradients: {path} steps; gap to completeness {' and '.join(words)}{where}."


def subsets(results: Results) -> str:
    """Number of subsets."""
    return spread([r.summary["subsets"] for r in results.values()], "d")


def judged(results: Results, *, reference: bool) -> list[Finding]:
    """The findings on one side: of the protocol with a random reference, or of the others."""
    several = len(results) > 1
    return [
        f._replace(numbers=f"for {variant} {f.numbers}") if several else f
        for variant, result in results.items()
        if len(result.frame)
        for f in findings(result.frame)
        if f.name.endswith(REFERENCE_DELETION) == reference
    ]
