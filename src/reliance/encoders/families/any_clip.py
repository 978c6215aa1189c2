"""Any model that open_clip builds: encode_image and encode_text are all that is asked of it.

SigLIP, CoCa, ResNets, timm towers, transformers pooled by attention or by a mean: what stands between their
last block and the embedding is not LayerNorm and a projection of one token.
"""

from collections.abc import Mapping
from typing import Any

from reliance.encoders.families.family import Family


def config_misfit(config: Mapping[str, Any]) -> str | None:
    """None: every architecture will do."""
    return None


def model_misfit(model: Any) -> str | None:
    """None: every model will do."""
    return None


FAMILY = Family("any_clip", "any CLIP that open_clip builds", config_misfit, model_misfit, {})
