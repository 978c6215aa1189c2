"""Plain tensors under our names, as safetensors: encoder_weight, encoder_bias, decoder_weight, bias.

    a = f((x - bias) encoder_weight^T + encoder_bias)    xhat = a decoder_weight + bias    both weights [m, d]

f is the metadata's `activation` (topk if it is not there, jumprelu where there is `threshold`) and `k`. What
we export says of which encoder's weights and of which site it is; other files may say `model` and `site`.
"""

from typing import Any

from reliance.base.artifacts import STAMP_KEY
from reliance.units.sae.formats.canonical import JUMP, SIGNED, TOP_K, Foreign, RefusedError
from reliance.units.sae.formats.source import Source
from reliance.units.sae.input_norm import InputNorm

NAMES = ("encoder_weight", "encoder_bias", "decoder_weight", "bias")


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    return set(NAMES) <= set(source.tensors)


def read(source: Source, k: int | None) -> Foreign:
    """The SAE. Raises RefusedError."""
    t, says = source.tensors, source.config
    stamp: dict[str, Any] = says.get(STAMP_KEY) or {}
    params = {**says, **stamp.get("params", {})}
    activation = str(params.get("activation") or (JUMP if "threshold" in t else TOP_K))
    if activation not in (TOP_K, SIGNED, JUMP):
        raise RefusedError(f"its activation is {activation}; {TOP_K}, {SIGNED} and {JUMP} are read")
    if activation == JUMP and "threshold" not in t:
        raise RefusedError(f"its activation is {JUMP}, without threshold", "write thresholds; 0 is ReLU")
    found = params.get("k")
    return Foreign(
        t["encoder_weight"],
        t["encoder_bias"],
        t["decoder_weight"],
        t["bias"],
        activation=activation,
        before=t["bias"],
        k=k or (found and int(found)),
        threshold=t.get("threshold"),
        input_norm=InputNorm.of(t["input_norm"]) if "input_norm" in t else None,
        model=str(params.get("model") or ""),
        site=str(params.get("site") or ""),
        weights=str(stamp.get("inputs", {}).get("encoder", "")),
    )
