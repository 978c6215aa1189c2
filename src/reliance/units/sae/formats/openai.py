"""OpenAI's autoencoders: pre_bias, encoder.weight, latent_bias, decoder.weight.

    y = n(x) - pre_bias    a = topk(relu(y W^T + latent_bias))    xhat = n^-1(a D^T + pre_bias)

Top-k ones normalise each x, (x - mean) / (std + 1e-5), those with ReLU do not.
"""

from reliance.units.sae.formats.canonical import JUMP, TOP_K, Foreign, RefusedError
from reliance.units.sae.formats.source import Source
from reliance.units.sae.input_norm import LAYER_NORM


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    return {"pre_bias", "latent_bias", "encoder.weight", "decoder.weight"} <= set(source.tensors)


def read(source: Source, k: int | None) -> Foreign:
    """The SAE. Raises RefusedError."""
    t = source.tensors
    found = source.says("activation_state_dict.k", "k")
    asked = k or (found and int(found))
    kind = str(source.says("activation") or ("TopK" if asked else "ReLU"))
    if kind.lower() not in ("topk", "relu"):
        raise RefusedError(f"its activation is {kind}; TopK and ReLU are read")
    after = str(source.says("activation_state_dict.postact_fn") or "ReLU")
    if after.lower() != "relu":
        raise RefusedError(f"after top-k it applies {after}; ReLU is read")
    top = kind.lower() == "topk"
    return Foreign(
        t["encoder.weight"],
        t["latent_bias"],
        t["decoder.weight"].T,
        t["pre_bias"],
        activation=TOP_K if top else JUMP,
        before=t["pre_bias"],
        k=asked,
        input_norm=LAYER_NORM if top else None,
        notes=(f"taken for one with {kind} and {'' if top else 'un'}normalised x",),
    )
