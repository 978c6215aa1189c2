"""Fig. 3: what deleting and inserting the most relevant latents does to the output."""

from collections.abc import Sequence
from pathlib import Path

from reliance.base.artifacts import derived_stamp
from reliance.faithfulness.schema import FROZEN
from reliance.figures import style
from reliance.figures.captions import compose
from reliance.figures.faithfulness.curves import BANDS, draw_curves
from reliance.figures.faithfulness.results import (
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


def fig3(
    *,
    faithfulness: Sequence[Path],
    summary: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
) -> None:
    """Draw Fig. 3: local deletion, deletion with average attributions, local insertion.

    Parameters
    ----------
    faithfulness, summary : tables of curves and their summaries, one per variant (usually one).
    shown : the variants, in the order of the tables. sheet : where the figure goes.

    Bands and errors are standard errors over subsets of images, std(ddof=1)/sqrt(subsets).
    """
    results, ids = read_results(faithfulness, summary, shown.variants)
    heading, several = shown.heading, shown.several
    rows = [local_and_global(r, v if several else "", error="sem_subsets") for v, r in results.items()]
    with style.rc():
        sheet.write(
            draw_curves(rows, title=heading, named=not several),
            numbers_of(results, SHOWN, [FROZEN], free=False),
            derived_stamp("fig3", SCHEMA, {"heading": heading, "skipped": list(shown.skipped)}, ids),
            _words(results, heading, shown.skipped),
        )


def _words(results: Results, heading: str, skipped: Sequence[str]) -> str:
    content = [
        "Output y (cosine of image and class name, in percent) after setting the activations of the most "
        "relevant latents to zero, one more at a time, in the order of each image (local) or of the mean "
        "over the images of its class (global), and after inserting them one by one, starting without any. "
        "The reconstruction error of the SAE is kept. Local orders are over the active latents of an image.",
        sampled(results),
        f"Bands and mean y ± SEM: standard error of the mean over {subsets(results)} disjoint subsets of the "
        "images, std(ddof=1)/sqrt(subsets); mean y is the mean over all steps. Greedy: at every step the "
        "latent that changes the output most, a strong reference, not a bound.",
        f"{LEAVE_ONE_OUT} {RANDOM}",
        gaps(results),
    ]
    content.append(BANDS)
    found = judged(results, reference=False)
    return compose("Figure 3", "Faithfulness of attributions", heading, content, JUDGED, found, skipped)
