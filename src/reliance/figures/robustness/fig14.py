"""Fig. 14: Fig. 5 in detail, every prompt set, every case, and the error of each point."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reliance.figures import style
from reliance.figures.robustness.captions import figure_caption
from reliance.figures.robustness.dots import draw_dots
from reliance.figures.robustness.panels import stamp_of, strips_of
from reliance.figures.sheet import Sheet, Shown
from reliance.robustness.summary import GROUP, PROBES, read_results, summarise

CONTENT = (
    "As Figure 5, for each of the four prompt sets (the short name of a class, its full name, and both in "
    "the templates) and the linear probe. Ticks: spurious AUC of the single cases. Error bars: standard "
    "error of the mean over cases, std(ddof=1)/sqrt(cases), which assumes that areas are normally "
    "distributed; for a single case the standard error of its area (DeLong). Dashed: chance."
)
COLUMNS = ["variant", *GROUP, "probe", "source", "failure_id", "n_cases", "n_left_out"]
COLUMNS += ["spurious_auc", "spurious_error", "valid_auc", "valid_error", "error", "spurious_ap"]


def fig14(
    *,
    robustness: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
    failures: Sequence[Path] = (),
) -> None:
    """Draw Fig. 14; arguments as in `fig5`.

    The CSV has a row per mean (failure_id empty) and a row per case.
    """
    results = read_results(robustness, shown.variants)
    means = summarise(results.frame)
    heading = shown.heading
    with style.rc():
        figure = draw_dots(
            strips_of(means, shown.variants, PROBES, results.frame),
            shown.variants,
            [style.PROBES[p] for p in PROBES],
            title=heading,
        )
        sheet.write(
            figure,
            numbers_of(means, results.frame),
            stamp_of("fig14", results, heading, shown.skipped_lists),
            figure_caption(
                "Figure 14", heading, results.frame, CONTENT, shown.skipped_lists, failures, shown.sizes
            ),
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
