"""Where in an image prompts and units come from: maps of tokens that were read, as pictures over the image.

The image goes through the encoder once more; a map is an exact sum over blocks, heads and patches
(`reliance.lens.maps`), drawn over the pixels that the encoder saw: warm where a patch adds, cold where it
takes away, as strong as its share of the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.attribute import Seen
from reliance.explore.model import Models
from reliance.explore.shelf import Shelf
from reliance.lens.maps import latent_maps, prompt_maps, upsampled, wanted
from reliance.lens.record import recording

if TYPE_CHECKING:
    from reliance.encoders.model import Clip
    from reliance.lens.maps import Maps

WARM, COLD = np.array([230, 90, 20], np.float32), np.array([20, 110, 200], np.float32)
SIDE = 192  # pixels of a picture
STRENGTH = 0.75  # of the colour where a map is largest


class Place(NamedTuple):
    """The map of one prompt or unit on one image."""

    caption: str
    picture: Image.Image
    patches: np.ndarray  # float32 [rows, columns]: what is read from each patch
    total: float  # the value that the map is a part of: y, or the unit before its activation


def of_prompts(models: Models, seen: Seen, prompts: Sequence[str], vectors: np.ndarray) -> list[Place]:
    """Maps of y for prompts with unit text vectors [C, p]. Raises RelianceError as `recording`."""
    clip, pixels = models.encoder, models.pixels(seen)
    with recording(clip, wanted(clip)) as recorder, torch.inference_mode():
        found = prompt_maps(clip, recorder.run(pixels), torch.from_numpy(np.asarray(vectors, np.float32)))
        return _places(clip, found, pixels, prompts)


def of_units(shelf: Shelf, models: Models, seen: Seen, units: Sequence[int]) -> list[Place]:
    """Maps of units before their activation function.

    Raises RelianceError for units that are not linear in the class token behind the last block.
    """
    sae = shelf.sae
    if models.site != "class_token" or sae.input_norm is not None:
        raise RelianceError(
            f"{shelf.variant}: where",
            "units with a map are linear in the class token behind the last block",
            found=f"site {models.site}{', x normalised first' if sae.input_norm is not None else ''}",
            allowed="variants of site class_token whose SAE takes x as it is",
            next_step="ask for prompts instead: their maps need no site",
        )
    clip, pixels, rows = models.encoder, models.pixels(seen), np.asarray(units, np.int64)
    weight = sae.encoder_weight[rows]
    offset = sae.encoder_bias[rows] - weight @ sae.bias
    with recording(clip, wanted(clip)) as recorder, torch.inference_mode():
        recorded = recorder.run(pixels)
        found = latent_maps(clip, recorded, torch.from_numpy(weight), torch.from_numpy(offset))
        return _places(clip, found, pixels, [f"unit {unit}" for unit in units])


def _places(clip: Clip, found: Maps, pixels: torch.Tensor, names: Sequence[str]) -> list[Place]:
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    patches = found.patches()[0]
    drawn = upsampled(clip, patches, size).numpy()
    image = pixels[0].permute(1, 2, 0).numpy()
    grid = clip.model.visual.grid_size
    totals = found.total()[0].tolist()
    return [
        Place(name, overlay(image, drawn[i]), patches[i].view(*grid).numpy(), totals[i])
        for i, name in enumerate(names)
    ]


def overlay(image: np.ndarray, values: np.ndarray) -> Image.Image:
    """Values [h, w] over an image uint8 [h, w, 3]; grey below, so that colours are those of the map."""
    largest = float(np.abs(values).max()) or 1.0
    share = (STRENGTH * np.abs(values) / largest)[..., None]
    grey = image.astype(np.float32).mean(2, keepdims=True).repeat(3, 2)
    colour = np.where(values[..., None] >= 0, WARM, COLD)
    mixed = (grey * (1 - share) + colour * share).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(mixed).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
