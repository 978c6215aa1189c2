"""A small random vision transformer with every scale and bias off its start, and images for it."""

from typing import Any

import torch

from reliance.base.artifacts import Stamp
from reliance.encoders.model import Clip, Weights, build_random

D, P, T, LAYERS, HEADS, NEURONS, IMAGES = 32, 12, 10, 4, 2, 128, 6
SHAPE: dict[str, Any] = {"image_size": 24, "patch_size": 8, "width": D, "layers": LAYERS, "head_width": 16}
TEXT = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
PREPROCESS = {"size": 24, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25]}
PIXELS = torch.randint(
    0, 256, (IMAGES, 3, 24, 24), generator=torch.Generator().manual_seed(3), dtype=torch.uint8
)
KINDS: dict[str, dict[str, Any]] = {"usual": {}, "scaled": {"ls_init_value": 0.3}}


def made_clip(kind: str = "usual", quick_gelu: bool = False, said: bool | None = None, seed: int = 0) -> Clip:
    """A model of a kind; `said` is the activation function that its record claims."""
    config = {"embed_dim": P, "vision_cfg": {**SHAPE, **KINDS.get(kind, {})}, "text_cfg": TEXT}
    if kind == "custom":
        config["vision_cfg"] |= {"block_type": "custom", "scale_attn": True}
    torch.manual_seed(seed)
    model = build_random({**config, "quick_gelu": quick_gelu}, 5 + seed).float().eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if "ln_" in name or "bias" in name:
            parameter.data += 0.3 * torch.randn(parameter.shape)
        elif "mlp" in name or "attn" in name:
            parameter.data *= 3
    gelu = quick_gelu if said is None else said
    record = Weights("e", "encoder", "tiny", config, PREPROCESS, gelu, True, 0, "", "")
    return Clip(model, torch.device("cpu"), record, Stamp("weights", 1, "i", {}, {}))
