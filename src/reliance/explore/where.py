"""Where in an image prompts and units come from: maps of patches, as pictures over the image.

The image goes through the encoder once more for all prompts, and once for all units. What is read from the
class token is an exact sum over blocks, heads and patches (`reliance.lens.maps`); units of patches fire on
each of them. Drawn over the pixels that the encoder saw: warm where a patch adds, cold where it takes away,
as strong as its share of the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image

from reliance.config.sites import kind_of
from reliance.explore.attribute import Seen
from reliance.explore.model import Models
from reliance.explore.shelf import Shelf
from reliance.figures.overlays import laid_over
from reliance.lens.maps import grid_of, prompt_maps, upsampled, wanted
from reliance.lens.record import recording
from reliance.lens.unit_maps import MAPPED, READ, unit_maps

if TYPE_CHECKING:
    from reliance.encoders.model import Clip

SIDE = 192  # pixels of a picture


class Place(NamedTuple):
    """The map of one prompt or unit on one image."""

    caption: str
    picture: Image.Image
    patches: np.ndarray  # float32 [rows, columns]
    total: float  # what the map is a part of: y, or the unit before its activation; of patches the largest
    meaning: str = READ  # what a value of a patch is


def of_prompts(models: Models, seen: Seen, prompts: Sequence[str], vectors: np.ndarray) -> list[Place]:
    """Maps of y for prompts with unit text vectors [C, p]. Raises RelianceError as `recording`."""
    clip, pixels = models.encoder, models.pixels(seen)
    with recording(clip, wanted(clip)) as recorder, torch.inference_mode():
        found = prompt_maps(clip, recorder.run(pixels), torch.from_numpy(np.asarray(vectors, np.float32)))
        return _places(clip, pixels, found.patches()[0], found.total()[0], prompts)


def of_units(shelf: Shelf, models: Models, seen: Seen, units: Sequence[int]) -> list[Place]:
    """Maps of units, at class tokens before their activation function. Errors are those of `unit_maps`."""
    clip, pixels = models.encoder, models.pixels(seen)
    found = unit_maps(clip, shelf.sae, models.site, pixels, np.asarray(units, np.int64))
    places = _places(clip, pixels, *found, [f"unit {unit}" for unit in units])
    return [place._replace(meaning=MAPPED[kind_of(models.site)]) for place in places]


def _places(
    clip: Clip, pixels: torch.Tensor, patches: torch.Tensor, totals: torch.Tensor, names: Sequence[str]
) -> list[Place]:
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    drawn = upsampled(clip, patches, size).numpy()
    image = pixels[0].permute(1, 2, 0).numpy()
    grid = grid_of(clip, patches.shape[-1])
    return [
        Place(name, overlay(image, drawn[i]), patches[i].view(*grid).numpy(), float(totals[i]))
        for i, name in enumerate(names)
    ]


def overlay(image: np.ndarray, values: np.ndarray) -> Image.Image:
    """Values [h, w] over an image uint8 [h, w, 3], as a picture of SIDE pixels."""
    mixed = Image.fromarray(laid_over(image, values))
    return mixed.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
