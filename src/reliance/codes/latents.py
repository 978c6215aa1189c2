"""The latents of an SAE as units: their stored codes, and the decoder."""

from pathlib import Path

import numpy as np

from reliance.base.artifacts import Stamp, check_same
from reliance.base.errors import RelianceError, make_again
from reliance.codes.store import Codes
from reliance.encoders.stored import check_site
from reliance.units.protocol import Sources
from reliance.units.sae.files import Sae, load_sae


class Latents(Codes):
    """`Units` of a split: v_j is the decoder's row (Eq. 1), the offset what it adds without any."""

    def __init__(self, codes: Path, sae: Sae, stamp: Stamp) -> None:
        super().__init__(codes)
        self.offset, self._decoder = sae.offset, sae.decoder_weight
        self.ids = {"codes": self.stamp.id, "sae": stamp.id}

    @property
    def directions(self) -> np.ndarray:
        """V, float32 [m, d]."""
        return self._decoder


def open_latents(sources: Sources) -> Latents:
    """Open the latents of a split.

    Raises RelianceError if codes or SAE are not given, or come from another SAE, other embeddings or site.
    """
    if sources.codes is None or sources.sae is None:
        lacking = "codes" if sources.codes is None else "SAE"
        raise RelianceError(
            sources.embeddings.path,
            "latents are read from the codes of a split and from the SAE that made them",
            found=f"no {lacking}",
            allowed="both",
            next_step=f"a variant without an SAE has no latents; else {make_again(sources.embeddings.path)}",
        )
    arrays, stamp = load_sae(sources.sae)
    found = Latents(sources.codes, arrays, stamp)
    check_same("SAE", (sources.codes, found.stamp.inputs["sae"]), (sources.sae, stamp.id))
    parts = sources.embeddings
    check_same("embeddings", (sources.codes, found.stamp.inputs["embeddings"]), (parts.path, parts.stamp.id))
    check_site(sources.sae, str(stamp.params.get("site", "class_token")), parts)
    return found
