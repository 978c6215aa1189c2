"""Suggests what kind of failure a case is, from text embeddings and the component's label.

The paper sorts its cases by eye (App. D.1). These rules sort them well enough to start with; a review
overrides them. In this order:

  typography   the images that activate the component most look, to the labeller, at least as much
               like "the written word <name of the class>" as like the component's own label
  lookalike    most distractors are of one class, the component stands out on a good part of that class,
               and to the labeller the centre of that class is as near to the centre of this one as a
               usual image of this class is: the two are hard to tell apart, and nothing need be wrong
  compound     the name has several words, and one of them alone scores at least as high as the whole
               name on the distractors, and not on the class: what the word gains on the distractors
               exceeds what it gains on the class by more than one standard deviation of the class's scores
  polysemous   the full name, with its explanation, lowers the distractors against the class by more
               than one standard deviation of the class's scores
  spurious     several classes share the component: no class has most of the distractors; and it is not
               the class's own: to the labeller, the centre of its strongest images is further from the
               centre of the class than a usual image of the class is
  other        anything else
"""

from typing import NamedTuple

MOST, GOOD_PART = 0.5, 0.25


class Evidence(NamedTuple):
    """What the rules look at; cosines if nothing else is said, nan where there is none."""

    written: float  # component's mean embedding and "the written word <name>" (labeller)
    named: float  # component's mean embedding and its own label (labeller)
    one_word: float  # distractors' mean y for the best single word of the name
    one_word_class: float  # class's mean y for that word
    distractors_short: float  # distractors' mean y for the short name
    distractors_full: float  # distractors' mean y for the full name
    class_short: float  # class's mean y for the short name
    class_full: float  # class's mean y for the full name
    class_std: float  # class's standard deviation of y for the short name
    main_share: float  # share of the distractors that are of their most frequent class
    main_flagged: float  # share of that class's images that are distractors
    centres: float  # centres of that class and of the case's class (labeller)
    usual: float  # centre of the case's class and its median image (labeller)
    strongest: float  # component's mean embedding and the centre of the case's class (labeller)


def suggest_kind(evidence: Evidence) -> str:
    """The kind of a case; comparisons with nan do not hold."""
    if evidence.written >= evidence.named:
        return "typography"
    if is_lookalike(evidence):
        return "lookalike"
    if is_compound(evidence):
        return "compound"
    gap_short = evidence.distractors_short - evidence.class_short
    gap_full = evidence.distractors_full - evidence.class_full
    if gap_short - gap_full > evidence.class_std:
        return "polysemous"
    shared, foreign = evidence.main_share <= MOST, evidence.strongest < evidence.usual
    return "spurious" if shared and foreign else "other"


def is_lookalike(evidence: Evidence) -> bool:
    """Whether the distractors are of a class that is hard to tell from the case's own."""
    one_class = evidence.main_share > MOST and evidence.main_flagged >= GOOD_PART
    return one_class and evidence.centres >= evidence.usual


def is_compound(evidence: Evidence) -> bool:
    """Whether distractors are seen as one word of the name, and the class as the whole of it."""
    gained = evidence.one_word - evidence.distractors_short
    gained_on_class = evidence.one_word_class - evidence.class_short
    return gained >= 0 and gained - gained_on_class > evidence.class_std
