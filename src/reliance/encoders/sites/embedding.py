"""Site `embedding`: the image embedding itself, of any CLIP. x is z, and the head is the identity.

Labellers are read here: all that is asked of them is z.
"""

from functools import partial

from reliance.encoders.head import identity_head
from reliance.encoders.sites.site import Site, embedding_width, export_head_at
from reliance.encoders.vision import embed_images_at

SITE = Site(
    "embedding",
    array="embedding",
    width=embedding_width,
    catch=None,
    head=lambda clip: identity_head(embedding_width(clip)),
)
embed_images = partial(embed_images_at, site=SITE)
export_head = partial(export_head_at, site=SITE)
