"""The kinds of failure of text-image probing (App. D.1 of the paper), declared once.

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
    "other": FailureKind("Other", "other cases", "other"),
}
OTHER = "other"  # the kind of external cases that are none of the four of the paper
PAPER_KINDS = tuple(kind for kind in FAILURE_KINDS if kind != OTHER)
