"""Table 1: what templates and full class names change for each kind of failure."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reliance.base.means import mean_and_error
from reliance.figures import style
from reliance.figures.robustness.captions import figure_caption
from reliance.figures.robustness.panels import MODES, stamp_of
from reliance.figures.sheet import Shown, write_csv, write_text
from reliance.robustness.summary import FOUND, GROUP, differences, groups, read_results

PROMPTS = {"templated": "Templating", "extended": "Extended description", "both": "Both"}
CONTENT = (
    "Change of the spurious AUC against the short name of the class, paired over cases: mean ± standard "
    "error of the mean, std(ddof=1)/sqrt(cases). Templating: the short name in the templates; extended "
    "description: the full name; both: the full name in the templates."
)
UNKNOWN = "no case"


def table1(
    *,
    robustness: Sequence[Path],
    csv: Path,
    md: Path,
    shown: Shown,
    failures: Sequence[Path] = (),
) -> None:
    """Write Table 1 as numbers (CSV) and as text with its caption (Markdown).

    Parameters
    ----------
    robustness : benchmark tables, one per variant.
    shown : the variants, in the order of the tables. sheet : where the figure goes.
    failures : lists of the mined cases.
    """
    results = read_results(robustness, shown.variants)
    heading = shown.heading
    numbers = paired_changes(results.frame)
    stamp = stamp_of("table1", results, heading, shown.skipped_lists)
    caption = figure_caption("Table 1", heading, results.frame, CONTENT, shown.skipped_lists, failures)
    blocks = [
        markdown(numbers[numbers["variant"] == v], groups(results.frame), v if shown.several else "")
        for v in shown.variants
    ]
    write_csv(numbers, csv, stamp)
    write_text("\n\n".join([*blocks, caption]), md, stamp)


def paired_changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean change against `short` per group, variant and prompt set.

    Columns: section, kind, mode, variant, prompts, n_cases, difference, sem (nan for one case).
    """
    rows = []
    for prompts in PROMPTS:
        table = differences(frame, prompts, "short")
        for key, part in table.groupby([*GROUP, "variant"]):
            mean, sem, n = mean_and_error(part["difference"].to_numpy())
            rows.append((*key, prompts, n, mean, sem))
    return pd.DataFrame(rows, columns=[*GROUP, "variant", "prompts", "n_cases", "difference", "sem"])


def markdown(numbers: pd.DataFrame, order: Sequence[tuple[str, str, str]], name: str) -> str:
    """One variant's table; its name becomes the header of the first column if given."""
    lines = [f"| {_safe(name) or 'Failure case'} | Cases | {' | '.join(PROMPTS.values())} |"]
    lines.append("|---|---:|" + "---:|" * len(PROMPTS))
    for group in order:
        part = numbers[(numbers[GROUP] == list(group)).all(axis=1)].set_index("prompts")
        count = int(part["n_cases"].max()) if len(part) else 0
        cells = [_cell(part, prompts) for prompts in PROMPTS]
        lines.append(f"| {_safe(_group_name(group))} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(part: pd.DataFrame, prompts: str) -> str:
    if prompts not in part.index:
        return UNKNOWN
    row = part.loc[prompts]
    error = "no SEM" if row["n_cases"] == 1 else f"± {row['sem']:.3f}"
    return f"{row['difference']:+.3f} {error}".replace("-", "−")


def _group_name(group: tuple[str, str, str]) -> str:
    section, kind, mode = group
    look = style.FAILURES.get(kind)
    name = look.label if look else kind
    notes = [section] if section != FOUND else []
    notes += [MODES.get(mode, mode)] if mode else []
    return f"{name} ({', '.join(notes)})" if notes else name


def _safe(text: str) -> str:
    """Text that cannot end a cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())
