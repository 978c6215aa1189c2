"""The kinds of failure of text-image probing, declared once: the paper's four (App. D.1), and two of ours.

Whatever a kind needs elsewhere (a colour, a rule that suggests it) is looked up by its name.
"""

from typing import NamedTuple


class FailureKind(NamedTuple):
    """How a kind is called."""

    title: str  # in a heading or a key
    plural: str  # in a sentence about its cases
    singular: str  # of one case


FAILURE_KINDS: dict[str, FailureKind] = {
    "polysemous": FailureKind("Polysemous words", "polysemous words", "polysemous word"),
    "compound": FailureKind("Compound nouns", "compound nouns", "compound noun"),
    "typography": FailureKind("Visual typography", "visual typography", "written word"),
    "spurious": FailureKind("Spurious correlations", "spurious correlations", "spurious correlation"),
    "lookalike": FailureKind("Look-alike classes", "look-alike classes", "look-alike class"),
    "other": FailureKind("Other", "other cases", "other"),
}
OWN_KINDS = ("lookalike", "other")  # which the paper does not have
PAPER_KINDS = tuple(kind for kind in FAILURE_KINDS if kind not in OWN_KINDS)
