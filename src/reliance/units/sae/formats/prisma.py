"""Prisma: {"cfg": a pickled configuration, "state_dict"}, or config.json beside the tensors.

    y = n(x) - b_dec    a = f(y W_enc + b_enc)    xhat = n^-1(a W_dec + b_dec)

f is ReLU, or top-k with ReLU; n is the layer norm, with torch's std, unless another is named. The
configuration is rebuilt as plain values, without its class.
"""

from typing import Any

from reliance.units.sae.formats.canonical import JUMP, TOP_K, Foreign, RefusedError
from reliance.units.sae.formats.source import Source
from reliance.units.sae.input_norm import CONSTANT_NORM, LAYER_NORM, InputNorm

_NORMS: dict[str, InputNorm | None] = {
    "none": None,
    "layer_norm": LAYER_NORM,
    "constant_norm_rescale": CONSTANT_NORM,
}


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    ours = {"W_enc", "W_dec", "b_dec"} <= set(source.tensors)
    return ours and "hook_point_layer" in source.config


def read(source: Source, k: int | None) -> Foreign:
    """The SAE. Raises RefusedError."""
    t, says = source.tensors, source.config
    name = str(says.get("normalize_activations", "layer_norm") or "none")
    if name not in _NORMS:
        raise RefusedError(f"normalize_activations is {name}; {', '.join(_NORMS)} are read")
    if str(says.get("architecture") or "standard") not in ("standard", "vanilla"):
        raise RefusedError(f"its architecture is {says['architecture']}; standard is read")
    function = str(says.get("activation_fn_str") or "relu")
    kwargs: Any = says.get("activation_fn_kwargs")
    found = kwargs.get("k") if isinstance(kwargs, dict) else None
    if function not in ("relu", "topk"):
        raise RefusedError(f"its activation is {function}; relu and topk are read")
    layer = says.get("hook_point_layer")
    site = str(says.get("hook_point") or f"blocks.{layer}.{says.get('layer_subtype', 'hook_resid_post')}")
    return Foreign(
        t["W_enc"].T,
        t["b_enc"],
        t["W_dec"],
        t["b_dec"],
        activation=TOP_K if function == "topk" else JUMP,
        before=t["b_dec"],
        k=k or (found and int(found)),
        input_norm=_NORMS[name],
        model=str(says.get("model_name") or ""),
        site=f"{site}.cls" if says.get("cls_token_only") else site,
    )
