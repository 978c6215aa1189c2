"""Checkpoints of the package transformers, CLIPModel and SiglipModel, as open_clip's models: by names alone.

A folder of theirs has config.json and model.safetensors, and mostly preprocessor_config.json and a tokenizer.
Neither that package nor code from a hub is run: the config becomes one of open_clip's here, and the names of
the tensors are converted when they are loaded (`hugging_face_names`). SigLIP's tokenizer is read by the
package, from the files in the folder; CLIP's is open_clip's own.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliance.base.errors import RelianceError

CONFIG_NAME, IMAGES_NAME = "config.json", "preprocessor_config.json"
TOKENIZERS = ("tokenizer.json", "spiece.model", "tokenizer.model")
CLIP_VOCABULARY = 49408
TANH = "gelu_pytorch_tanh"
_RESCALE = 1 / 255
PILLOW = {2: "bilinear", 3: "bicubic"}
_TOWER = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "intermediate_size": 3072}
_CLIP = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_SIGLIP = {"hidden_act": TANH, "layer_norm_eps": 1e-6}
_TEXT = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {  # what a config.json leaves out, by type of model
    "clip": {
        "vision_config": {**_TOWER, **_CLIP, "image_size": 224, "patch_size": 32},
        "text_config": {
            **{**_TOWER, **_TEXT, **_CLIP},
            **{"vocab_size": CLIP_VOCABULARY, "max_position_embeddings": 77},
        },
    },
    "siglip": {
        "vision_config": {**_TOWER, **_SIGLIP, "image_size": 224, "patch_size": 16},
        "text_config": {**_TOWER, **_SIGLIP, "vocab_size": 32000, "max_position_embeddings": 64},
    },
}
# (width, layers, heads, width of the MLP, patch): timm's transformer, and the sizes of images it is made for
SIGLIP_TOWERS = {
    (768, 12, 12, 3072, 16): ("vit_base_patch16_siglip_{size}", (224, 256, 384, 512)),
    (768, 12, 12, 3072, 32): ("vit_base_patch32_siglip_{size}", (256,)),
    (1024, 24, 16, 4096, 16): ("vit_large_patch16_siglip_{size}", (256, 384, 512)),
    (1152, 27, 16, 4304, 14): ("vit_so400m_patch14_siglip_{size}", (224, 378, 384)),
    (1152, 27, 16, 4304, 16): ("vit_so400m_patch16_siglip_{size}", (256, 384, 512)),
    (1536, 40, 16, 6144, 16): ("vit_giantopt_patch16_siglip_{size}", (256, 384)),
}


def beside(path: Path) -> Path | None:
    """config.json in the folder of a file of weights, if it is of a model of transformers."""
    config = path.with_name(CONFIG_NAME)
    try:
        return config if "model_type" in json.loads(config.read_text()) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def read_config(path: Path, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """open_clip's model config and preprocessing of the folder of a config.json.

    Raises RelianceError, naming `where`, for another type of model, or one that open_clip cannot be.
    """
    record = json.loads(path.read_text())
    kind = str(record["model_type"])
    if kind not in DEFAULTS:
        raise _refuse(path, where, f"model_type {kind}", f"model_type {' or '.join(DEFAULTS)}")
    vision, text = (_section(record, kind, name) for name in ("vision_config", "text_config"))
    config = (_clip if kind == "clip" else _siglip)(record, vision, text, path, where)
    return config, _preprocess(path.with_name(IMAGES_NAME), kind, vision["image_size"], where)


def _section(record: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """One tower's config; `..._dict`, which old checkpoints have, wins in transformers as well."""
    return {**DEFAULTS[kind][name], **(record.get(name) or {}), **(record.get(f"{name}_dict") or {})}


def _clip(
    record: Mapping[str, Any], vision: dict[str, Any], text: dict[str, Any], path: Path, where: str
) -> dict[str, Any]:
    activations = {vision["hidden_act"], text["hidden_act"]}
    if len(activations) > 1 or activations - {"quick_gelu", "gelu"}:
        found = f"hidden_act {' and '.join(sorted(activations))}"
        raise _refuse(path, where, found, "quick_gelu or gelu, the same in both towers")
    if text["vocab_size"] != CLIP_VOCABULARY:
        found = f"a vocabulary of {text['vocab_size']} tokens"
        raise _refuse(path, where, found, f"CLIP's own, {CLIP_VOCABULARY} tokens")
    return {
        "embed_dim": int(record.get("projection_dim", 512)),
        "vision_cfg": {
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
            "head_width": vision["hidden_size"] // vision["num_attention_heads"],
            **_transformer(vision, 1e-5),
        },
        "text_cfg": _text(text, 1e-5),
        "quick_gelu": activations == {"quick_gelu"},
    }


def _siglip(
    record: Mapping[str, Any], vision: dict[str, Any], text: dict[str, Any], path: Path, where: str
) -> dict[str, Any]:
    shape = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size")
    name, sizes = SIGLIP_TOWERS.get(tuple(vision[key] for key in shape), ("", ()))
    known = {vision["hidden_act"], text["hidden_act"]} == {TANH}
    if vision["image_size"] not in sizes or not known or vision["layer_norm_eps"] != 1e-6:
        found = ", ".join(f"{key} {vision[key]}" for key in (*shape, "image_size", "hidden_act"))
        allowed = ", ".join(n.format(size="|".join(map(str, s))) for n, s in SIGLIP_TOWERS.values())
        raise _refuse(path, where, found, f"the shapes of timm's towers: {allowed}")
    width = int(text.get("projection_size", text["hidden_size"]))
    if width != vision["hidden_size"]:
        raise _refuse(path, where, f"text vectors of {width}", f"{vision['hidden_size']}, as of images")
    return {
        "embed_dim": vision["hidden_size"],
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": vision["image_size"],
            "timm_model_name": name.format(size=vision["image_size"]),
            "timm_pool": "map",
            "timm_proj": "none",
            "gelu": "tanh",  # ours, see model.build: open_clip's have the exact one
        },
        "text_cfg": {
            **_text(text, 1e-5),
            **{"no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
            "act_kwargs": {"approximate": "tanh"},
            **_tokenizer(path, where),
        },
    }


def _tokenizer(path: Path, where: str) -> dict[str, Any]:
    """The folder's own tokenizer, which pads to the full length; text is made canonical as open_clip does."""
    folder = path.parent
    if not any((folder / name).is_file() for name in TOKENIZERS):
        found = f"{folder} without {', '.join(TOKENIZERS)}"
        raise _refuse(path, where, found, "SigLIP's tokenizer beside its weights")
    return {"hf_tokenizer_name": str(folder.resolve()), "tokenizer_kwargs": {"clean": "canonicalize"}}


def _transformer(tower: Mapping[str, Any], usual_eps: float) -> dict[str, Any]:
    width, inner = tower["hidden_size"], tower["intermediate_size"]
    ratio = inner / width
    found = {"width": width, "layers": tower["num_hidden_layers"]}
    found["mlp_ratio"] = ratio if int(width * ratio) == inner else (inner + 0.5) / width
    eps = tower["layer_norm_eps"]
    return {**found, **({"norm_kwargs": {"eps": eps}} if eps != usual_eps else {})}


def _text(text: Mapping[str, Any], usual_eps: float) -> dict[str, Any]:
    return {
        "context_length": text["max_position_embeddings"],
        "vocab_size": text["vocab_size"],
        "heads": text["num_attention_heads"],
        **_transformer(text, usual_eps),
    }


def _preprocess(path: Path, kind: str, size: int, where: str) -> dict[str, Any]:
    """mean, std, interpolation and resize_mode from preprocessor_config.json; the usual ones without it."""
    clip = kind == "clip"
    mean = (0.48145466, 0.4578275, 0.40821073) if clip else (0.5,) * 3
    std = (0.26862954, 0.26130258, 0.27577711) if clip else (0.5,) * 3
    said = json.loads(path.read_text()) if path.is_file() else {}
    resample = said.get("resample", 3)
    wanted = said.get("crop_size", said.get("size", size)) if clip else said.get("size", size)
    sides = set(wanted.values()) if isinstance(wanted, Mapping) else {wanted}
    if resample not in PILLOW or sides != {size}:
        found = f"resample {resample}, images of {sorted(sides)}"
        allowed = f"bilinear (2) or bicubic (3), images of {size} as in {CONFIG_NAME}"
        raise _refuse(path, where, found, allowed)
    edge = said.get("size", size)
    edge = edge.get("shortest_edge") if isinstance(edge, Mapping) else edge
    if clip and edge != size:
        found = f"images resized to size {said['size']} before they are cropped to {size}"
        raise _refuse(path, where, found, f"a shortest_edge of {size}, as in {CONFIG_NAME}")
    steps = ("do_resize", "do_rescale", "do_normalize", *(("do_center_crop",) if clip else ()))
    left_out = [f"{name} {said[name]}" for name in steps if said.get(name) is False]
    factor = said.get("rescale_factor") or _RESCALE
    if left_out or abs(factor / _RESCALE - 1) > 1e-6:
        found = ", ".join(left_out) or f"rescale_factor {factor}"
        allowed = f"{', '.join(steps)} true, rescale_factor 1/255"
        raise _refuse(path, where, found, allowed)
    return {
        "mean": list(said.get("image_mean", mean)),
        "std": list(said.get("image_std", std)),
        "interpolation": PILLOW[resample],
        "resize_mode": "shortest" if clip else "squash",
    }


def _refuse(path: Path, where: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        f"{where}: {path}",
        "a folder of the package transformers holds a CLIP or a SigLIP that open_clip can be built as",
        found=found,
        allowed=allowed,
        next_step="name the same model in open_clip's own format, if its owner has one; nothing was loaded",
    )
