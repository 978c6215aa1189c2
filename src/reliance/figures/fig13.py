"""Fig. 13: sets of images that a prompt is mistaken for: typography, spurious correlations, others."""

import functools

from reliance.figures.failure_galleries import failure_gallery

__all__ = ["fig13"]

TITLE = "Failure cases of text-image probing, visual typography and spurious correlations"

fig13 = functools.partial(failure_gallery, 13, TITLE, ("typography", "spurious", "lookalike", "other"))
