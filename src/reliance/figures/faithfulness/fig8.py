"""Fig. 8: deletion in the order of mean scores over images that have nothing to do with the class."""

from collections.abc import Sequence
from pathlib import Path

from reliance.base.artifacts import derived_stamp
from reliance.faithfulness.schema import FROZEN, REFERENCE_DELETION
from reliance.figures import style
from reliance.figures.canvas import lines_of
from reliance.figures.captions import compose, spread
from reliance.figures.faithfulness.curves import BANDS, Panel, Row, draw_curves
from reliance.figures.faithfulness.results import (
    ERROR_TERMS,
    JUDGED,
    LEAVE_ONE_OUT,
    RANDOM_BY_CLASS,
    Results,
    gaps,
    judged,
    numbers_of,
    panel,
    read_results,
    sampled,
    subsets,
)
from reliance.figures.sheet import Sheet, Shown

SCHEMA = 1


def fig8(
    *,
    faithfulness: Sequence[Path],
    summary: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw Fig. 8: deletion with a random reference set; arguments as in `fig3`.

    Of several variants each has a panel; a single one has a panel with the reconstruction error and one
    without.
    Bands are standard errors over images, std(ddof=1)/sqrt(images); errors of means are over subsets.
    """
    results, ids = read_results(faithfulness, summary, shown.variants)
    heading, several = shown.heading, shown.several
    error_terms = [FROZEN] if several else list(ERROR_TERMS)
    panels = [
        panel(
            result,
            REFERENCE_DELETION,
            title=variant if several else ERROR_TERMS[term],
            error_term=term,
        )
        for variant, result in results.items()
        for term in error_terms
    ]
    with style.rc():
        sheet.write(
            draw_curves(_rows(panels), title=heading, named=not several),
            numbers_of(results, [REFERENCE_DELETION], error_terms, free=True),
            derived_stamp("fig8", SCHEMA, {"heading": heading, "skipped": list(shown.skipped)}, ids),
            _words(results, heading, shown.skipped),
        )


def _rows(panels: Sequence[Panel]) -> list[Row]:
    """Panels in lines of three at most."""
    return [Row("", [panels[i] for i in line]) for line in lines_of(len(panels), 3)]


def _words(results: Results, heading: str, skipped: Sequence[str]) -> str:
    several = len(results) > 1
    reference = spread([r.summary["reference"] for r in results.values()], ",")
    detail = (
        "The reconstruction error of the SAE is kept."
        if several
        else "Left, the reconstruction error of the SAE is kept; right, everything, also the scores, is "
        "computed on the reconstruction alone."
    )
    content = [
        "Output y (cosine of image and class name, in percent) after setting latents to zero one by one, for "
        f"all images of a class in the order of the mean score for that class over {reference} images drawn "
        f"at random. {detail}",
        sampled(results, local=False),
        "Bands: standard error of the mean over images, std(ddof=1)/sqrt(images). Mean y ± SEM: mean over "
        f"all steps, and its standard error over {subsets(results)} disjoint subsets of the images.",
        f"{LEAVE_ONE_OUT} Random: {RANDOM_BY_CLASS}",
        gaps(results, [FROZEN] if several else list(ERROR_TERMS)),
    ]
    content.append(BANDS)
    found = judged(results, reference=True)
    return compose("Figure 8", "Deletion with a random reference", heading, content, JUDGED, found, skipped)
