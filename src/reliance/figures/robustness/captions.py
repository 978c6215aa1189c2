"""Captions of the figures and the table of the robustness benchmark."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reliance.base.claims import bullets
from reliance.failures.case_list import read_failures
from reliance.figures.captions import written
from reliance.robustness.findings import findings, size_findings
from reliance.robustness.summary import FOUND, PLANTED, PROBES, same_cases, usable

LISTS = {"neuhaus": "the cases of Neuhaus et al.", "user": "the user's own lists"}
NAMES = {
    "short": "short names",
    "templated": "templates",
    "extended": "full names",
    "both": "both",
    "linear": "linear probe",
}

JUDGED = (
    "What the paper found, held against these numbers (the gap is valid minus spurious AUC; its mean "
    "difference between two ways of probing and the 95 % interval by Student's t, paired over cases, "
    "averaged over the variants shown):"
)


def figure_caption(
    number: str,
    heading: str,
    frame: pd.DataFrame,
    content: str,
    skipped_lists: Sequence[str] = (),
    failures: Sequence[Path] = (),
    sizes: Sequence[float] = (),
) -> str:
    """Caption of a figure or table of the robustness benchmark.

    Parameters
    ----------
    number : "Figure 5".
    heading : title of the figure, with its note on random weights.
    frame : rows per case, from `summary.read_results`.
    content : what is shown, in sentences.
    skipped_lists : external lists that are set but were not there to be scored.
    failures : lists of the mined cases, to say how many of them are reviewed.
    sizes : of the image towers of the variants, in their order.
    """
    skipped = [f"Lists without a folder or tables were skipped: {', '.join(skipped_lists)}."]
    sentences = [content, *(skipped if skipped_lists else ()), *reviewed(failures), *cautions(frame)]
    found = bullets([*findings(frame), *size_findings(frame, sizes)]) or "- There is no case to judge by."
    return written(number, "Failure modes in text-image probing", heading, sentences, JUDGED, found)


def reviewed(failures: Sequence[Path]) -> list[str]:
    """How many mined cases a person has looked at, as a sentence; none without mined cases."""
    lists = [read_failures(path)[0] for path in dict.fromkeys(failures)]
    cases = sum(len(found) for found in lists)
    if not cases:
        return []
    looked_at = sum(int((found["reviewed"] == "yes").sum()) for found in lists)
    waiting = " The kinds of the others are suggestions by rule." if looked_at < cases else ""
    return [f"Reviewed by a person: {looked_at} of {cases} mined cases.{waiting}"]


def published(frame: pd.DataFrame) -> list[str]:
    """The average precision on lists found elsewhere, the score they are published with, as sentences."""
    rows = usable(frame[frame["source"].isin(LISTS)])
    said = []
    for (source, variant), part in rows.groupby(["source", "variant"], sort=False):
        means = {p: float(own["spurious_ap"].mean()) for p, own in part.groupby("probe")}
        shown = ", ".join(f"{NAMES[p]} {means[p]:.3f}" for p in PROBES if p in means)
        name = f" of {variant}" if frame["variant"].nunique() > 1 else ""
        count = part["failure_id"].nunique()
        said.append(f"Average precision{name} on {LISTS[str(source)]} ({count} cases, mean): {shown}.")
    if said:
        said.append(
            "It is the score these lists are published with, here with as many images of the class as there "
            "are; it depends on how many there are for each distractor, the AUC does not."
        )
    return said


def cautions(frame: pd.DataFrame) -> list[str]:
    """What a reader must know before comparing the bars, as sentences."""
    said = []
    for name in sorted(set(frame.get("probe_given", ())) - {""}):
        said.append(f"In place of a probe that is trained here stands the classifier in {name}.")
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
    said += published(frame)
    if not same_cases(frame):
        said.append("The variants were scored on different cases: their means must not be compared.")
    missing = len(cases) - len(usable(frame).drop_duplicates(["variant", "source", "failure_id"]))
    if missing:
        said.append(f"Left out, without distractors or class images: {missing} of {len(cases)} cases.")
    return said
