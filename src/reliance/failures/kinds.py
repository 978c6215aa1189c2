"""Suggests what kind of failure a case is, from text embeddings and the component's label.

The paper sorts its cases by eye (App. D.1). These rules sort them well enough to start with; a review
overrides them. In this order:

  typography   the images that activate the component most look, to the labeller, at least as much
               like "the written word <name of the class>" as like the component's own label
  compound     the name has several words, and one of them alone scores at least as high as the
               whole name on the distractors
  polysemous   the full name, with its explanation, lowers the distractors against the class by more
               than one standard deviation of the class's scores
  spurious     anything else
"""

from typing import NamedTuple


class Evidence(NamedTuple):
    """What the rules look at; all are cosines, nan where there is none."""

    written: float  # component's mean embedding and "the written word <name>" (labeller)
    named: float  # component's mean embedding and its own label (labeller)
    one_word: float  # distractors' mean y for the best single word of the name
    distractors_short: float  # distractors' mean y for the short name
    distractors_full: float  # distractors' mean y for the full name
    class_short: float  # class's mean y for the short name
    class_full: float  # class's mean y for the full name
    class_std: float  # class's standard deviation of y for the short name


def suggest_kind(evidence: Evidence) -> str:
    """The kind of a case; comparisons with nan do not hold."""
    if evidence.written >= evidence.named:
        return "typography"
    if evidence.one_word >= evidence.distractors_short:
        return "compound"
    gap_short = evidence.distractors_short - evidence.class_short
    gap_full = evidence.distractors_full - evidence.class_full
    if gap_short - gap_full > evidence.class_std:
        return "polysemous"
    return "spurious"
