"""Fig. 7: Fig. 3 for all models, or for one model in detail."""

from collections.abc import Sequence
from pathlib import Path

from reliance.base.artifacts import derived_stamp
from reliance.faithfulness.schema import FROZEN
from reliance.figures import style
from reliance.figures.captions import compose
from reliance.figures.faithfulness.curves import BANDS, draw_curves
from reliance.figures.faithfulness.results import (
    ERROR_TERMS,
    JUDGED,
    LEAVE_ONE_OUT,
    RANDOM,
    SHOWN,
    Results,
    gaps,
    judged,
    local_and_global,
    numbers_of,
    read_results,
    sampled,
    subsets,
)
from reliance.figures.sheet import Sheet, Shown

SCHEMA = 1


def fig7(
    *,
    faithfulness: Sequence[Path],
    summary: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw Fig. 7; arguments as in `fig3`.

    Of several variants each has a row. A single one has a row with the reconstruction error and one
    without, and also the orders over all latents.
    Bands are standard errors over images, std(ddof=1)/sqrt(images); errors of means are over subsets.
    """
    results, ids = read_results(faithfulness, summary, shown.variants)
    heading, several = shown.heading, shown.several
    if several:
        rows = [local_and_global(result, variant) for variant, result in results.items()]
        numbers = numbers_of(results, SHOWN, [FROZEN], free=False)
    else:
        (only,) = results.values()
        rows = [
            local_and_global(only, words, error_term=term, unrestricted=True)
            for term, words in ERROR_TERMS.items()
        ]
        numbers = numbers_of(results, SHOWN, list(ERROR_TERMS), free=True)
    with style.rc():
        sheet.write(
            draw_curves(rows, title=heading, named=False),
            numbers,
            derived_stamp("fig7", SCHEMA, {"heading": heading, "skipped": list(shown.skipped)}, ids),
            _words(results, heading, shown.skipped),
        )


def _words(results: Results, heading: str, skipped: Sequence[str]) -> str:
    several = len(results) > 1
    detail = (
        "The reconstruction error of the SAE is kept."
        if several
        else "Above, the reconstruction error of the SAE is kept; below, everything, also the scores, is "
        "computed on the reconstruction alone. Thin dashed: orders over all latents, where deleting an "
        "inactive one changes nothing."
    )
    content = [
        f"As Figure 3, for {'every model' if several else 'one model in detail'}. {detail}",
        sampled(results),
        "Bands: standard error of the mean over images, std(ddof=1)/sqrt(images). Mean y ± SEM: mean over "
        f"all steps, and its standard error over {subsets(results)} disjoint subsets of the images.",
        f"{LEAVE_ONE_OUT} {RANDOM}",
        gaps(results, [FROZEN] if several else list(ERROR_TERMS)),
    ]
    content.append(BANDS)
    found = judged(results, reference=False)
    return compose("Figure 7", "Faithfulness of attributions", heading, content, JUDGED, found, skipped)
