"""Test images in the words of their significant neurons, as the page of the lens shows them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.figures.thumbnails import Album
from reliance.report.pixels import uri

IMAGES, WORDS, SIDE = 12, 6, 64
KINDS = {"object": "thing", "word": "written word", "background": "background"}


class Described(NamedTuple):
    """An image with its words."""

    image: str  # data URI
    words: str
    significant: int  # neurons


def described(attributes: pd.DataFrame, album: Album) -> list[Described]:
    """Evenly spaced images of those that have words; ones that can no longer be read are left out."""
    ids = attributes["image_id"].unique()
    ids = ids[np.unique(np.linspace(0, len(ids) - 1, min(IMAGES, len(ids))).astype(int))]
    samples = pd.DataFrame({"image_id": ids}).assign(dataset="dataset", split="test")
    images = album.thumbnails(album.find(samples), SIDE) if len(ids) else []
    found = []
    for image_id, image in zip(ids, images, strict=True):
        own = attributes[attributes["image_id"] == image_id].sort_values("rank").head(WORDS)
        if image.pixels is not None:
            words = ", ".join(own["word"]) or "no word"
            found.append(Described(uri(image.pixels), words, int(own["significant"].iloc[0])))
    return found


def attribute_rows(scores: pd.DataFrame) -> list[list[str]]:
    """Rows of the table of words against what was drawn: what, images, said, by chance."""
    numbers = scores[["images", "said", "chance"]].itertuples(index=False)
    return [
        [KINDS[kind], f"{images:,}", f"{said:.0%}", f"{chance:.0%}"]
        for kind, (images, said, chance) in zip(scores["kind"], numbers, strict=True)
        if images
    ]
