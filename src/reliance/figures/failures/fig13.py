"""Fig. 13: sets of images that a prompt is mistaken for: typography, spurious correlations, others."""

import functools

from reliance.figures.failures.pictures import Subject, failure_gallery

__all__ = ["fig13"]

TITLE = "Failure cases of text-image probing, visual typography and spurious correlations"

KINDS = ("typography", "spurious", "lookalike", "other")

fig13 = functools.partial(failure_gallery, Subject(13, TITLE, KINDS))
