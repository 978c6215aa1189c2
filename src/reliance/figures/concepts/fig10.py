"""Fig. 10: components that are strong and that fit no name well, by clarity."""

import functools

from reliance.figures.concepts.pictures import concept_gallery

__all__ = ["fig10"]

fig10 = functools.partial(concept_gallery, 10, "activation")
