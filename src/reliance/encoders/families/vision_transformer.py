"""open_clip's VisionTransformer, pooled by its class token, with ln_post and proj: the paper's models.

The small CLIPs that are trained here are of this family too.
"""

from collections.abc import Mapping
from typing import Any

from reliance.encoders.families.family import Family


def config_misfit(config: Mapping[str, Any]) -> str | None:
    """Why an architecture is none of these, as open_clip's config has it."""
    vision = config["vision_cfg"]
    if "multimodal_cfg" in config:
        return "a CoCa model, which pools with attention"
    if vision.get("timm_model_name"):
        return f"a timm image tower ({vision['timm_model_name']})"
    if isinstance(vision.get("layers"), list):
        return "a ResNet"
    if vision.get("attentional_pool"):
        return "a transformer that pools with attention"
    if vision.get("pool_type", "tok") != "tok":
        return f"a transformer that pools by '{vision['pool_type']}'"
    return None


def model_misfit(model: Any) -> str | None:
    """Why the model's image tower is not what the config promises."""
    from torch import nn

    from reliance.base.openclip import open_clip

    tower = model.visual
    fits = (
        isinstance(tower, open_clip.transformer.VisionTransformer)
        and tower.attn_pool is None
        and tower.pool_type == "tok"
        and isinstance(tower.ln_post, nn.LayerNorm)
        and isinstance(tower.proj, nn.Parameter)
        and not tower.output_tokens
    )
    if fits:
        return None
    attention = " by attention" if getattr(tower, "attn_pool", None) is not None else ""
    return f"{type(tower).__name__}, pooling '{getattr(tower, 'pool_type', 'its own')}'{attention}"


FAMILY = Family(
    "vision_transformer",
    "open_clip's vision transformers with a class token, ln_post and proj",
    config_misfit,
    model_misfit,
    {"norm": "visual.ln_post", "proj": "visual.proj"},
)
