"""SAELens: a folder with cfg.json and sae_weights.safetensors.

    y = n(x) - b_dec [if apply_b_dec_to_input],  pre = y W_enc + b_enc,  xhat = n^-1(a W_dec + b_dec)

standard: a = relu(pre). topk: relu of the k largest, compared and stored times |w_j| with
rescale_acts_by_decoder_norm. jumprelu: relu(pre) [pre > threshold]; batch top-k is stored as that. gated: a
unit fires if y W_enc + b_gate > 0, as relu(y W_enc exp(r_mag) + b_mag): JumpReLU with threshold
b_mag - exp(r_mag) b_gate. n is one of normalize_activations.
"""

from typing import Any

import numpy as np

from reliance.units.sae.formats.canonical import JUMP, TOP_K, Foreign, RefusedError
from reliance.units.sae.formats.source import Source
from reliance.units.sae.input_norm import CONSTANT_NORM, LAYER_NORM, InputNorm

ARCHITECTURES = ("standard", "topk", "batchtopk", "jumprelu", "gated", "matryoshka_batchtopk")
_NORMS: dict[str, InputNorm | None] = {
    "none": None,
    "layer_norm": LAYER_NORM,
    "constant_norm_rescale": CONSTANT_NORM,
}


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    return {"W_enc", "W_dec", "b_dec"} <= set(source.tensors) and "hook_point_layer" not in source.config


def read(source: Source, k: int | None) -> Foreign:
    """The SAE. Raises RefusedError."""
    t, kind = source.tensors, _architecture(source)
    w_enc = t["W_enc"].T
    common: dict[str, Any] = {
        "decoder": t["W_dec"],
        "bias": t["b_dec"],
        "before": t["b_dec"] if source.config.get("apply_b_dec_to_input", True) else None,
        "input_norm": _norm(source),
        "model": str(source.says("model_name") or ""),
        "site": str(source.says("hook_name", "hook_point") or ""),
    }
    if str(source.says("reshape_activations") or "none") != "none":
        raise RefusedError("it reads activations that are reshaped (hook_z of attention)")
    if (t.get("scaling_factor", np.ones(1)) != 1).any():
        raise RefusedError(
            "it multiplies its activations by a scaling_factor", "fold it into W_dec, and import it again"
        )
    if kind == "gated":
        gain = np.exp(t["r_mag"])
        theta = t["b_mag"] - gain * t["b_gate"]
        return Foreign(w_enc * gain[:, None], t["b_mag"], activation=JUMP, threshold=theta, **common)
    if kind == "topk":
        found = source.says("k")
        by_length = bool(source.config.get("rescale_acts_by_decoder_norm", False))
        return Foreign(
            w_enc, t["b_enc"], activation=TOP_K, k=k or (found and int(found)), by_length=by_length, **common
        )
    if kind == "jumprelu" and "threshold" not in t:
        raise RefusedError("its architecture is jumprelu, without a threshold", "get the whole file again")
    if kind in ("batchtopk", "matryoshka_batchtopk") and "threshold" not in t:
        raise RefusedError(
            f"{kind} without a threshold: it is one that is still trained",
            "save it with save_inference_model, which stores a threshold",
        )
    threshold = t.get("threshold") if kind != "standard" else None
    return Foreign(w_enc, t["b_enc"], activation=JUMP, threshold=threshold, **common)


def _architecture(source: Source) -> str:
    """The architecture, also as older versions write it."""
    kind = str(source.config.get("architecture") or "standard")
    if kind == "standard":
        older = str(source.says("activation_fn_str", "activation_fn") or "relu")
        kind = {"relu": "standard", "topk": "topk"}.get(older, older)
        if older == "topk" and source.says("k") is None:
            kwargs = source.says("activation_fn_kwargs")
            source.config["k"] = kwargs.get("k") if isinstance(kwargs, dict) else None
    if kind not in ARCHITECTURES:
        raise RefusedError(f"its architecture is {kind}; {', '.join(ARCHITECTURES)} are read")
    return kind


def _norm(source: Source) -> InputNorm | None:
    name = str(source.says("normalize_activations") or "none")
    if name not in _NORMS:
        raise RefusedError(
            f"normalize_activations is {name}, and the factor is not in the file",
            "fold it into the weights (fold_activation_norm_scaling_factor), save and import it again",
        )
    return _NORMS[name]
