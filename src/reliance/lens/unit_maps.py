"""Where in an image the units of a variant are, wherever in a vision transformer it reads: a value per patch.

    class token after a block   what the unit before its activation function reads from each patch, over all
                                blocks up to it and their heads: an exact sum (`lens.maps`)
    patches after a block       how strongly the unit fires on each patch

One pass of an image serves all units that are asked for.
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from reliance.base.errors import RelianceError
from reliance.config.sites import block_of, kind_of
from reliance.encoders.model import Clip
from reliance.encoders.sites.block import place_of, tokens_behind
from reliance.encoders.vision import normaliser
from reliance.lens.maps import latent_maps, wanted
from reliance.lens.record import recording
from reliance.tails.patches import applied
from reliance.units.sae.files import Sae
from reliance.units.sae.pooled import on_patches

READ = "what is read from each patch, over all blocks and heads: warm adds, cold takes away"
FIRES = "how strongly the unit fires on each patch"
MAPPED = {"class_token": READ, "block": READ, "patches": FIRES}  # kinds of sites whose units have maps


class UnitMaps(NamedTuple):
    """Of one image and q units, float32."""

    patches: torch.Tensor  # [q, P]
    total: torch.Tensor  # [q]: the unit before its activation function; at patches its largest activation


def unit_maps(clip: Clip, sae: Sae, site: str, pixels: torch.Tensor, units: np.ndarray) -> UnitMaps:
    """Maps of units int64 [q] over one image, uint8 [1, 3, h, w].

    Raises RelianceError for a site, an SAE or a model whose units have none.
    """
    check_mapped(site, sae)
    of = _fired if kind_of(site) == "patches" else _read
    with torch.inference_mode():
        return of(clip, sae, block_of(site), pixels, np.asarray(units, np.int64))


def unmapped(site: str, sae: Sae) -> str:
    """Why units of an SAE at a site have no maps, "" if they have."""
    if kind_of(site) not in MAPPED:
        return f"site {site}"
    normed = kind_of(site) != "patches" and sae.input_norm is not None
    return f"site {site}, x normalised first" if normed else ""


def check_mapped(site: str, sae: Sae) -> None:
    """Raise RelianceError unless units of an SAE at a site have maps."""
    if why := unmapped(site, sae):
        raise RelianceError(
            "maps of units",
            "units with a map are linear in a class token, or fire on patches",
            found=why,
            allowed="sites class_token and {block: l}; at class tokens SAEs that take x as it is",
            next_step="ask for maps of prompts instead, which need no site (`reliance explain --where`)",
        )


def _read(clip: Clip, sae: Sae, block: int | None, pixels: torch.Tensor, units: np.ndarray) -> UnitMaps:
    weight = sae.encoder_weight[units]
    offset = sae.encoder_bias[units] - weight @ sae.bias
    last = None if block is None else place_of(clip, block)
    with recording(clip, wanted(clip, last)) as recorder:
        both = torch.from_numpy(weight), torch.from_numpy(offset)
        found = latent_maps(clip, recorder.run(pixels), *both)
    return UnitMaps(found.patches()[0], found.total()[0])


def _fired(clip: Clip, sae: Sae, block: Any, pixels: torch.Tensor, units: np.ndarray) -> UnitMaps:
    caught: list[torch.Tensor] = []
    with tokens_behind(clip, block, lambda tokens: tokens[:, 1:].float(), caught):
        clip.model.encode_image(normaliser(clip.weights.preprocess, clip.device)(pixels))
    known = applied(sae, str(clip.device), torch.float32)
    assert known is not None
    found = on_patches(caught[0], known, torch.from_numpy(units)[None])[0].T
    return UnitMaps(found, found.max(1).values)
