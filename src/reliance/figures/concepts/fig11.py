"""Fig. 11: components that drive a class and that fit no name well, by clarity."""

import functools

from reliance.figures.concepts.pictures import concept_gallery

__all__ = ["fig11"]

fig11 = functools.partial(concept_gallery, 11, "relevance")
