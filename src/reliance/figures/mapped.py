"""Galleries with maps: where in an image the unit is for which it is shown, laid over its thumbnail.

The images go through the model once more, one after the other; torch is imported only where maps are asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.artifacts import check_same
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import BOX
from reliance.figures.overlays import laid_over
from reliance.figures.thumbnails import DRAWN, Album, Thumbnail, few_colors, outlined, square

if TYPE_CHECKING:
    from reliance.encoders.model import Clip
    from reliance.units.sae.files import Sae


class Source(NamedTuple):
    """The model and the SAE whose units are mapped."""

    weights: Path
    sae: Path
    site: str
    jpeg_decoding: str = "exact"


class Mapping(NamedTuple):
    """Thumbnails with maps."""

    pictures: list[Thumbnail]
    meaning: str  # a sentence for the caption
    ids: dict[str, str]  # of what was read


def with_maps(pictures: Sequence[Thumbnail], found: pd.DataFrame, album: Album, source: Source) -> Mapping:
    """The thumbnails of rows that `album.find` returned, with maps.

    found : `unit` is the latent to be mapped, -1 for none; of patches with the columns of BOX. A map lies
    over the pixels that the model saw, which need not be the square of the thumbnail before. Raises
    RelianceError where units have no maps, for an SAE of another model, or an image that changed.
    """
    import torch

    from reliance.config.sites import kind_of
    from reliance.encoders.model import load_model
    from reliance.images.decode import Reading
    from reliance.images.tables import read_split
    from reliance.lens.maps import upsampled
    from reliance.lens.unit_maps import MAPPED, unit_maps
    from reliance.tails.remaining import pixels_of
    from reliance.units.sae.files import load_sae

    torch.set_num_threads(1)
    clip, (sae, stamp) = load_model(source.weights), load_sae(source.sae)
    _check(source.site, sae, clip)
    if learned := stamp.inputs.get("encoder"):
        check_same("encoder weights", (source.sae, learned), (source.weights, clip.stamp.id))
    reading = Reading(
        str(album.roots[album.home]), **album.reading._asdict(), jpeg_decoding=source.jpeg_decoding
    )
    shown, boxes = list(pictures), found.reindex(columns=list(BOX)).to_numpy(float)
    drawn = np.array([picture.drawn == DRAWN for picture in pictures], bool)
    rows = found.reset_index(drop=True)[drawn & (found["unit"].to_numpy() >= 0)]
    for split, own in rows.groupby("split"):
        pixels_at = pixels_of(read_split(album.indexes[album.home], str(split)), reading, clip, 1)
        for image_id, part in own.groupby("image_id"):
            pixels = pixels_at(np.array([image_id]))
            maps = unit_maps(clip, sae, source.site, pixels, part["unit"].to_numpy(np.int64))
            seen = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
            for place, patches in zip(part.index, maps.patches, strict=True):
                picture = np.asarray(square(seen, len(shown[place].pixels)))
                values = upsampled(clip, patches, (len(picture), len(picture))).numpy()
                mixed = few_colors(Image.fromarray(laid_over(picture, values)))
                shown[place] = outlined(shown[place]._replace(pixels=mixed), boxes[place])
    meaning = f"Colours over an image: {MAPPED[kind_of(source.site)]}."
    return Mapping(shown, meaning, {"mapped_by": clip.stamp.id, "sae": stamp.id})


def _check(site: str, sae: Sae, clip: Clip) -> None:
    """Raise RelianceError if units have no maps, with what to do about a gallery."""
    from reliance.config.sites import kind_of
    from reliance.lens.record import blocks_of
    from reliance.lens.unit_maps import check_mapped

    try:
        check_mapped(site, sae)
        if kind_of(site) != "patches":
            blocks_of(clip)
    except RelianceError as error:
        told = {"found": error.found, "allowed": error.allowed, "next_step": "say galleries: {maps: false}"}
        raise RelianceError(error.where, error.rule, **told) from error
