"""Fig. 12: sets of images that a prompt is mistaken for: polysemous words and compound nouns."""

import functools

from reliance.figures.failures.pictures import Subject, failure_gallery

__all__ = ["fig12"]

TITLE = "Failure cases of text-image probing, polysemous words and compound nouns"

fig12 = functools.partial(failure_gallery, Subject(12, TITLE, ("polysemous", "compound")))
