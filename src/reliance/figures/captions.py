"""Captions that are written from the numbers (Markdown)."""

import math
from collections.abc import Sequence

from reliance.base.claims import Finding, bullets


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
