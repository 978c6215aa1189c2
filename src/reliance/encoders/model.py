"""The one way from a weights.json to a CLIP model: built from its config, loaded strictly, or not at all."""

import copy
import logging
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from reliance.base.artifacts import Stamp, hash_file, read_json
from reliance.base.device import choose_device
from reliance.base.errors import RelianceError, run_again
from reliance.base.openclip import open_clip, with_timm, with_transformers
from reliance.base.telling import tell
from reliance.encoders import hugging_face_names
from reliance.encoders.unwrapped import WrappedError, common_prefix, not_read, prefixed, tables_in

log = logging.getLogger(__name__)
KIND, SCHEMA = "weights", 1
USUAL = {"norm": "visual.ln_post", "proj": "visual.proj"}  # what all encoders had when none was recorded
READ_ERRORS = (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError)


class Weights(NamedTuple):
    """What a weights.json says."""

    encoder: str  # its name in the config
    role: str  # "encoder" | "labeller"
    architecture: str  # open_clip name, "hf-hub:owner/name", or "from-file"
    config: dict[str, Any]  # open_clip model config: embed_dim, vision_cfg, text_cfg, quick_gelu, ...
    preprocess: dict[str, Any]  # size, mean, std, interpolation, resize_mode, fill_color
    quick_gelu: bool
    random: bool
    seed: int  # of random weights, 0 otherwise
    path: str  # file of the weights, "" if random
    sha256: str  # of that file, "" if random
    family: str = ""  # of encoders/families, "" if it was not recorded
    parts: dict[str, str] = USUAL  # by name, where they are in the model, see families/family.py
    pretrained: str = ""  # open_clip's tag, if the config names one


class Clip(NamedTuple):
    """A model ready for inference."""

    model: Any  # nn.Module in float32, eval mode, without gradients; has encode_image and encode_text
    device: torch.device
    weights: Weights
    stamp: Stamp  # of weights.json


def read_weights(path: str | Path) -> tuple[Weights, Stamp]:
    """What `resolve_weights` wrote. Raises RelianceError as `identity.read_json`."""
    record, stamp = read_json(path, KIND, SCHEMA)
    if "parts" not in record and record["role"] != "encoder":
        record = {**record, "parts": {}}
    return Weights(**record), stamp


def load_model(weights: str | Path, device: str = "cpu") -> Clip:
    """Build and load the model of a weights.json.

    device : "auto" | "cpu" | "cuda".
    Raises RelianceError if the file is gone, is not the one that was recorded, does not fit, or has values
    that are not finite.
    """
    record, stamp = read_weights(weights)
    if record.random:
        model = build_random(record.config, record.seed)
        log.warning("%s: random weights (seed %d)", record.encoder, record.seed)
    else:
        _check_file(record)
        model = build(record.config)
        state = fitting_state(model, record.path, record.encoder)
        refuse_not_finite(state, record)
        model.load_state_dict(state, strict=True)
    model.float().eval().requires_grad_(False)
    place = torch.device(choose_device(device))
    return Clip(model.to(place), place, record, stamp)


def load_tokenizer(weights: Weights) -> Any:
    """The tokenizer of a model: called with a list of n strings it gives int64 [n, context_length].

    Raises RelianceError if its package is not installed or its options are not known ones.
    """
    from reliance.encoders.local import HUB
    from reliance.encoders.registry import check_tokenizer

    text = weights.config["text_cfg"]
    check_tokenizer(text, f"encoders.{weights.encoder}")
    length = text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH)
    options = text.get("tokenizer_kwargs") or {}
    if text.get("hf_tokenizer_name"):
        mode = text.get("tokenizer_mode")
        name = text["hf_tokenizer_name"]
        return open_clip.HFTokenizer(name, context_length=length, tokenizer_mode=mode, **options)
    if "siglip" in weights.architecture.lower() and not weights.architecture.startswith(HUB):
        return open_clip.get_tokenizer(weights.architecture)
    return open_clip.SimpleTokenizer(context_length=length, **options)


def build(config: Mapping[str, Any]) -> nn.Module:
    """A model of an open_clip config with fresh weights; towers are never downloaded on their own."""
    values = copy.deepcopy(dict(config))
    text, vision = values["text_cfg"], values["vision_cfg"]
    custom = values.pop("custom_text", False) or "hf_model_name" in text
    if "timm_model_name" in vision:
        with_timm()
        vision["timm_model_pretrained"] = False
    gelu = vision.pop("gelu", None)  # of timm's towers, which open_clip builds with the exact one
    if "hf_model_name" in text:
        text["hf_model_pretrained"] = False
        with_transformers()
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    if "multimodal_cfg" in values:
        kind = open_clip.CoCa
    model: nn.Module = kind(**values)
    tower: Any = model.visual
    for module in tower.modules() if gelu else ():
        if isinstance(module, nn.GELU):
            module.approximate = gelu
    return model


def build_random(config: Mapping[str, Any], seed: int) -> nn.Module:
    """A model with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(config)
        decoder = getattr(
            model, "text_decoder", None
        )  # CoCa's; open_clip leaves its projection as memory was
        if isinstance(left := getattr(decoder, "text_projection", None), nn.Parameter):
            nn.init.normal_(left, std=left.shape[0] ** -0.5)
        return model


def fitting_state(
    model: nn.Module, path: str, encoder: str, *, device: str = "cpu"
) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint under the model's names; device "meta" reads names and shapes only.

    Position embeddings of another square grid of patches are interpolated, as open_clip does, and said.
    Raises RelianceError if the file cannot be read or differs from the model in another name or shape.
    """
    try:
        state = _convert(model, _read_state(path, device))
    except READ_ERRORS as error:
        raise not_read(path, encoder, error) from error
    known = model.state_dict()
    problem = _difference(known, state)
    if problem and (prefix := common_prefix(state, known)):
        bare = _convert(model, {name.removeprefix(prefix): tensor for name, tensor in state.items()})
        if len(bare) < len(state) or _difference(known, bare):
            raise prefixed(path, encoder, prefix, next(n for n in state if n.startswith(prefix)))
        log.info("%s: the prefix %r before every name is left out", path, prefix)
        return bare
    if problem:
        raise RelianceError(
            f"encoders.{encoder}: {path}",
            "the tensors of a file of weights are those of the architecture, in name and shape",
            found=problem,
            allowed="the same names and shapes on both sides",
            next_step=f"correct encoders.{encoder}.architecture, or name the right file "
            f"as encoders.{encoder}.file; nothing was loaded",
        )
    return state


def refuse_not_finite(state: Mapping[str, torch.Tensor], record: Weights) -> None:
    """Raise RelianceError, naming the tensors, if a weight is NaN or infinite. Masks of attention may be."""
    broken = [
        name
        for name, tensor in state.items()
        if tensor.is_floating_point() and not name.endswith("mask") and not torch.isfinite(tensor).all()
    ]
    if broken:
        raise RelianceError(
            f"encoders.{record.encoder}: {record.path}",
            "the weights of a model are finite numbers",
            found=f"NaN or infinity in {len(broken)} of {len(state)} tensors: {', '.join(broken[:3])}",
            allowed="finite values",
            next_step="training diverged, or the file was converted to a precision that is too small: name "
            f"another checkpoint as encoders.{record.encoder}.file",
        )


def _check_file(record: Weights) -> None:
    found = hash_file(Path(record.path)) if Path(record.path).is_file() else "no such file"
    if found != record.sha256:
        raise RelianceError(
            f"encoders.{record.encoder}: {record.path}",
            "the file of weights is the one that was recorded",
            found=found,
            allowed=f"sha256 {record.sha256}",
            next_step=f"it was changed, or removed from the cache: {run_again('resolve_weights')}, "
            f"or name a local copy as encoders.{record.encoder}.file",
        )


def _read_state(path: str, device: str) -> dict[str, torch.Tensor]:
    """Tensors by name, without the wrappers training scripts add."""
    if path.endswith(".safetensors") and device == "meta":
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    if path.endswith(".safetensors"):
        return load_file(path, device=device)
    state = torch.load(path, map_location=device, weights_only=True)
    if isinstance(state, dict) and "state_dict" in state:
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        tables = tables_in(state, torch.Tensor)
        if len(tables) > 1:
            raise WrappedError(tables)
        if not tables:
            raise ValueError("it is not a table of tensors")
        log.info("%s: its tensors lie below %r", path, tables[0])
        state = state[tables[0]]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _convert(model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """open_clip's conversions of older layouts, and ours."""
    if hugging_face_names.is_theirs(state):
        return _scalars(model.state_dict(), hugging_face_names.converted(state))
    state = open_clip.convert.convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = open_clip.model.convert_to_custom_text_state_dict(state)
    known = model.state_dict()
    state = _resized(model, known, _scalars(known, state))
    position_ids = "text.transformer.embeddings.position_ids"  # no longer a buffer in transformers
    obsolete = (position_ids, "input_resolution", "context_length", "vocab_size")
    return {name: tensor for name, tensor in state.items() if name in known or name not in obsolete}


def _resized(
    model: nn.Module, known: Mapping[str, torch.Tensor], state: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Position embeddings of a square grid of patches, interpolated to the grid of the model."""
    name, tower = "visual.positional_embedding", cast(Any, model).visual
    if name not in state or name not in known or not hasattr(tower, "class_embedding"):
        return state
    old, new = state[name], known[name]
    side = math.isqrt(len(old) - 1)
    if old.shape[1:] != new.shape[1:] or len(old) == len(new) or side * side != len(old) - 1:
        return state
    open_clip.model.resize_pos_embed(state, model)
    grid = " x ".join(map(str, tower.grid_size))
    if old.is_meta:  # of the job that looks at names and shapes first: once is enough
        tell(log, "position embeddings of %d x %d patches are interpolated to %s", side, side, grid)
    return state


def _scalars(known: Mapping[str, torch.Tensor], state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Scale and bias in the model's shape: a scalar in some files, one element in others."""
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in known and state[name].numel() == 1:
            state[name] = state[name].reshape(known[name].shape)
    return state


def _difference(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> str:
    """How two tables of tensors differ in names and shapes, "" if they do not."""
    missing = sorted(set(wanted) - set(found))
    strange = sorted(set(found) - set(wanted))
    shapes = [
        f"{name} {list(found[name].shape)} instead of {list(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(found))
        if found[name].shape != wanted[name].shape
    ]
    kinds = (("missing", missing), ("unexpected", strange), ("of another shape", shapes))
    return "; ".join(f"{len(names)} {kind}: {', '.join(names[:2])}" for kind, names in kinds if names)
