"""Fig. 13: sets of images that a prompt is mistaken for: typography, spurious correlations and others."""

import functools

from reliance.figures.failures.pictures import Subject, failure_gallery

__all__ = ["fig13"]

TITLE = "Failure cases of text-image probing, visual typography and spurious correlations"

fig13 = functools.partial(failure_gallery, Subject(13, TITLE, ("typography", "spurious", "other")))
