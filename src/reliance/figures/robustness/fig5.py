"""Fig. 5: failure modes of text-image probing, text prompts against a linear probe."""

from collections.abc import Sequence
from pathlib import Path

from reliance.figures import style
from reliance.figures.robustness.captions import figure_caption
from reliance.figures.robustness.dots import draw_dots
from reliance.figures.robustness.panels import stamp_of, strips_of
from reliance.figures.sheet import Sheet, Shown
from reliance.robustness.summary import read_results, summarise

PROBES = ("short", "both", "linear")
CONTENT = (
    "Mean over cases of the area under the ROC curve that tells the images of a class from the distractors "
    "of a case (spurious AUC, filled) and from all other images (valid AUC, open). Vanilla text is the short "
    "name of the class, enriched text its full name in the templates; the linear probe {probe}. "
    "Error bars: standard error of the mean over cases, std(ddof=1)/sqrt(cases); a single case has none. "
    "Dashed: chance."
)
TRAINED = (
    "is trained on image embeddings of the test split, and scored by its log-odds if it is a logistic "
    "regression"
)
GIVEN = "is a classifier that was given"


def fig5(
    *,
    robustness: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
    failures: Sequence[Path] = (),
) -> None:
    """Draw Fig. 5: mean spurious and valid AUC per kind of failure, for short and enriched text and a probe.

    Parameters
    ----------
    robustness : benchmark tables, one per variant.
    shown : the variants, in the order of the tables. sheet : where the figure goes.
    failures : lists of the mined cases.

    Error bars are std(ddof=1)/sqrt(cases); one case has none.
    """
    results = read_results(robustness, shown.variants)
    numbers = summarise(results.frame[results.frame["probe"].isin(PROBES)])
    heading = shown.heading
    kinds = {GIVEN if name else TRAINED for name in results.frame["probe_given"]} or {TRAINED}
    content = CONTENT.format(probe=" or ".join(sorted(kinds)))
    with style.rc():
        figure = draw_dots(
            strips_of(numbers, shown.variants, PROBES),
            shown.variants,
            [style.PROBES[p] for p in PROBES],
            title=heading,
        )
        sheet.write(
            figure,
            numbers.drop(columns=["spurious_se", "valid_se"]),
            stamp_of("fig5", results, heading, shown.skipped_lists),
            figure_caption(
                "Figure 5", heading, results.frame, content, shown.skipped_lists, failures, shown.sizes
            ),
        )
