"""Tensors of transformers' CLIPModel and SiglipModel under open_clip's names.

They differ in names, in that query, key and value lie apart or together, and in the side that a projection
is applied from. A tensor that has no place keeps its name, so that it is refused as unexpected.
"""

import re
from collections.abc import Mapping

import torch

_BLOCK = {  # of CLIP's and of both text towers
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_TIMM_BLOCK = {"self_attn.out_proj": "attn.proj", "layer_norm1": "norm1", "layer_norm2": "norm2"}
_CLIP = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding": "visual.conv1",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
}
_SIGLIP = {
    "text_model.embeddings.token_embedding.weight": "text.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "text.positional_embedding",
    "text_model.final_layer_norm": "text.ln_final",
    "text_model.head": "text.text_projection",
    "vision_model.embeddings.patch_embedding": "visual.trunk.patch_embed.proj",
    "vision_model.post_layernorm": "visual.trunk.norm",
    "vision_model.head.probe": "visual.trunk.attn_pool.latent",
    "vision_model.head.attention.out_proj": "visual.trunk.attn_pool.proj",
    "vision_model.head.layernorm": "visual.trunk.attn_pool.norm",
    "vision_model.head.mlp": "visual.trunk.attn_pool.mlp",
}
_POSITIONS = "vision_model.embeddings.position_embedding.weight"
_PARTS = re.compile(r"(.*\.self_attn\.)q_proj\.(weight|bias)")
_LAYER = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.*)")
_BUFFERS = ("vision_model.embeddings.position_ids", "text_model.embeddings.position_ids")


def is_theirs(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether the names of a checkpoint are those of transformers."""
    return "vision_model.embeddings.patch_embedding.weight" in state


def converted(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors as open_clip's CLIP or CustomTextCLIP has them; works on device "meta" too."""
    siglip = "vision_model.head.probe" in state
    left = {name: tensor for name, tensor in state.items() if name not in _BUFFERS}
    found: dict[str, torch.Tensor] = {}
    for name in list(left):
        match = _PARTS.fullmatch(name)
        parts = [f"{match[1]}{which}_proj.{match[2]}" for which in "qkv"] if match else []
        if match and set(parts) <= set(left):
            joined = torch.cat([left.pop(part) for part in parts])
            found[_place(f"{match[1]}in_proj_{match[2]}", siglip)] = joined
    for name, tensor in left.items():
        if name in ("visual_projection.weight", "text_projection.weight"):
            found["visual.proj" if name.startswith("visual") else "text_projection"] = tensor.T
        elif siglip and name == _POSITIONS:
            found["visual.trunk.pos_embed"] = tensor[None]
        elif siglip and name.startswith("vision_model.head.attention.in_proj_"):
            end = name.rpartition("_")[2]
            width = len(tensor) // 3
            found[f"visual.trunk.attn_pool.q.{end}"] = tensor[:width]
            found[f"visual.trunk.attn_pool.kv.{end}"] = tensor[width:]
        else:
            found[_place(name, siglip)] = tensor
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _place(name: str, siglip: bool) -> str:
    """open_clip's name of a tensor; itself if it has no place there."""
    if match := _LAYER.fullmatch(name):
        tower, number, rest = match.groups()
        timm = siglip and tower == "vision"
        if timm:
            rest = rest.replace("self_attn.in_proj_", "attn.qkv.")
            return f"visual.trunk.blocks.{number}.{_renamed(rest, _TIMM_BLOCK)}"
        above = "visual." if tower == "vision" else "text." if siglip else ""
        rest = rest.replace("self_attn.in_proj_", "attn.in_proj_")
        return f"{above}transformer.resblocks.{number}.{_renamed(rest, _BLOCK)}"
    return _renamed(name, _SIGLIP if siglip else _CLIP)


def _renamed(name: str, table: Mapping[str, str]) -> str:
    for old, new in table.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name
