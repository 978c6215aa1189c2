"""Captions that are written from the numbers (Markdown)."""

import math
from collections.abc import Sequence

import pandas as pd

from reliance.base.claims import Finding, bullets
from reliance.robustness.findings import findings
from reliance.robustness.summary import FOUND, PLANTED, same_cases, usable

JUDGED = (
    "What the paper found, held against these numbers (the gap is valid minus spurious AUC; its mean "
    "difference between two ways of probing and the 95 % interval by Student's t, paired over cases, "
    "averaged over the variants shown):"
)


def figure_caption(
    number: str, heading: str, frame: pd.DataFrame, content: str, skipped_lists: Sequence[str] = ()
) -> str:
    """Caption of a figure or table of the robustness benchmark.

    Parameters
    ----------
    number : "Figure 5".
    heading : title of the figure, with its note on random weights.
    frame : rows per case, from `summary.read_results`.
    content : what is shown, in sentences.
    skipped_lists : external lists that are set but were not there to be scored.
    """
    skipped = [f"Lists without a folder or tables were skipped: {', '.join(skipped_lists)}."]
    sentences = [content, *(skipped if skipped_lists else ()), *cautions(frame)]
    found = bullets(findings(frame)) or "- There is no case to judge by."
    return written(number, "Failure modes in text-image probing", heading, sentences, JUDGED, found)


def compose(
    figure: str,
    subject: str,
    heading: str,
    sentences: Sequence[str],
    judged: str,
    found: Sequence[Finding],
    skipped: Sequence[str] = (),
) -> str:
    """Caption of any figure: what it shows, and what the paper found, held against its numbers.

    Parameters
    ----------
    figure, subject, heading : "Figure 4", what it is about, and the title of this one (may be empty).
    sentences : what is shown.
    judged : what the verdicts go by.
    found : the verdicts; none at all if there is nothing to judge by.
    skipped : variants without an SAE, which are left out.
    """
    left_out = [f"Left out, without an SAE: {', '.join(skipped)}."] if skipped else []
    said = bullets(found) or "- There is nothing to judge by."
    return written(figure, subject, heading, [*sentences, *left_out], judged, said)


def written(
    figure: str, subject: str, heading: str, sentences: Sequence[str], judged: str, found: str
) -> str:
    """A caption in Markdown: a paragraph, and a list under its own sentence."""
    opening = f"**{figure}. {subject}{f': {heading}' if heading else ''}.**"
    return f"{' '.join([opening, *sentences])}\n\n{judged}\n\n{found}"


def number(value: float) -> str:
    """A number with two digits."""
    return "unknown" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def counted(count: int, noun: str) -> str:
    """So many of something: "1 component", "1,200 components"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def span(counts: Sequence[int]) -> str:
    """One count for all, or its ends: "370", "210 to 370"."""
    return spread(counts, ",")


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """One number for all, or its ends, in a format; "no" if none is known."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "no"
    low, high = (format(value, form).replace("-", "−") for value in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def cautions(frame: pd.DataFrame) -> list[str]:
    """What a reader must know before comparing the bars, as sentences."""
    said = []
    origins = sorted(set(frame["discovered_on"]) - {""})
    if origins:
        said.append(
            f"Mined cases were selected by the text output of {' and '.join(origins)}, so there the text "
            "prompts are at a disadvantage by construction."
        )
    cases = frame.drop_duplicates(["variant", "source", "failure_id"])
    found = cases.loc[cases["section"] == FOUND].drop_duplicates(["source", "failure_id"])["source"]
    if found.nunique() > 1:
        counts = ", ".join(f"{n} {source}" for source, n in found.value_counts().items())
        said.append(f"Found cases by source: {counts}.")
    if (frame["section"] == PLANTED).any():
        said.append(
            "Planted cases use all planted distractors, found or not. Spurious correlations learned from "
            "captions and those only in the labelled data are never averaged."
        )
    if not same_cases(frame):
        said.append("The variants were scored on different cases: their means must not be compared.")
    missing = len(cases) - len(usable(frame).drop_duplicates(["variant", "source", "failure_id"]))
    if missing:
        said.append(f"Left out, without distractors or class images: {missing} of {len(cases)} cases.")
    return said
