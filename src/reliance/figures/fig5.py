"""Fig. 5: failure modes of text-image probing, text prompts against a linear probe."""

from collections.abc import Sequence
from pathlib import Path

from reliance.figures import style
from reliance.figures.captions import figure_caption
from reliance.figures.dots import draw
from reliance.figures.panels import sections_of, stamp_of
from reliance.robustness.summary import read_results, summarise

PROBES = ("short", "both", "linear")
CONTENT = (
    "Mean over cases of the area under the ROC curve that tells the images of a class from the distractors "
    "of a case (spurious AUC, filled) and from all other images (valid AUC, open). Vanilla text is the short "
    "name of the class, enriched text its full name in the templates; the linear probe is trained "
    "on image embeddings of the test split, and scored by its log-odds if it is a logistic regression. "
    "Error bars: standard error of the mean over cases, std(ddof=1)/sqrt(cases); a single case has none. "
    "Dashed: chance."
)


def fig5(
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
    """Draw Fig. 5: mean spurious and valid AUC per kind of failure, for short and enriched text and a probe.

    Parameters
    ----------
    robustness : benchmark tables, one per variant.
    pdf, png, csv, caption : the figure, its preview, the numbers behind it, and its caption (Markdown).
    variants : names, in the order of `robustness`.
    random_weights : per variant, whether its encoder was never trained; said in the figure.
    skipped_lists : external lists that are set but were not there to be scored; said in the caption.

    Error bars are std(ddof=1)/sqrt(cases); one case has none.
    """
    results = read_results(robustness, variants)
    numbers = summarise(results.frame[results.frame["probe"].isin(PROBES)])
    heading = style.heading(variants, random_weights)
    with style.rc():
        figure = draw(
            sections_of(numbers, variants, PROBES),
            variants,
            [style.PROBES[p] for p in PROBES],
            title=heading,
        )
        style.save(
            figure,
            numbers.drop(columns=["spurious_se", "valid_se"]),
            stamp_of("fig5", results, heading, skipped_lists),
            pdf=pdf,
            png=png,
            csv=csv,
            caption=caption,
            words=figure_caption("Figure 5", heading, results.frame, CONTENT, skipped_lists),
        )
