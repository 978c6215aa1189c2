"""Fig. 14: Fig. 5 in detail, every prompt set, every case, and the error of each point."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reliance.figures import style
from reliance.figures.captions import figure_caption
from reliance.figures.dots import draw
from reliance.figures.panels import sections_of, stamp_of
from reliance.robustness.summary import GROUP, PROBES, read_results, summarise

CONTENT = (
    "As Figure 5, for each of the four prompt sets (the short name of a class, its full name, and both in "
    "the templates) and the linear probe. Ticks: spurious AUC of the single cases. Error bars: standard "
    "error of the mean over cases, std(ddof=1)/sqrt(cases), which assumes that areas are normally "
    "distributed; for a single case the standard error of its area (DeLong). Dashed: chance."
)
COLUMNS = ["variant", *GROUP, "probe", "source", "failure_id", "n_cases", "n_left_out"]
COLUMNS += ["spurious_auc", "spurious_error", "valid_auc", "valid_error", "error"]


def fig14(
    *,
    robustness: Sequence[Path],
    pdf: Path,
    png: Path,
    csv: Path,
    caption: Path,
    variants: Sequence[str],
    random_weights: Sequence[bool] = (),
    skipped_lists: Sequence[str] = (),
) -> None:
    """Draw Fig. 14; arguments as in `fig5`.

    The CSV has a row per mean (failure_id empty) and a row per case.
    """
    results = read_results(robustness, variants)
    means = summarise(results.frame)
    heading = style.heading(variants, random_weights)
    with style.rc():
        figure = draw(
            sections_of(means, variants, PROBES, results.frame),
            variants,
            [style.PROBES[p] for p in PROBES],
            title=heading,
        )
        style.save(
            figure,
            numbers_of(means, results.frame),
            stamp_of("fig14", results, heading, skipped_lists),
            pdf=pdf,
            png=png,
            csv=csv,
            caption=caption,
            words=figure_caption("Figure 14", heading, results.frame, CONTENT, skipped_lists),
        )


def numbers_of(means: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Every point of the figure: means, then cases; `error` says which standard error a row has."""
    single = means["n_cases"] == 1
    parts = [
        means.assign(
            spurious_error=means["spurious_sem"].where(~single, means["spurious_se"]),
            valid_error=means["valid_sem"].where(~single, means["valid_se"]),
            error=single.map({True: "DeLong", False: "SEM over cases"}),
        ),
        cases.assign(spurious_error=cases["spurious_se"], valid_error=cases["valid_se"], error="DeLong"),
    ]
    return pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)
