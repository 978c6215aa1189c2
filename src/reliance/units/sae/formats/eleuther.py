"""sparsify: cfg.json and sae.safetensors.

a = topk(relu((x - b_dec) W^T + c))    xhat = a W_dec + b_dec    W, W_dec [m, d]
"""

from reliance.units.sae.formats.canonical import TOP_K, Foreign, RefusedError
from reliance.units.sae.formats.source import Source


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    return {"encoder.weight", "W_dec"} <= set(source.tensors)


def read(source: Source, k: int | None) -> Foreign:
    """The SAE. Raises RefusedError."""
    t, says = source.tensors, source.config
    if "W_skip" in t or says.get("skip_connection"):
        raise RefusedError("it has a skip connection: what it reconstructs is not only its latents")
    if says.get("transcode"):
        raise RefusedError("a transcoder reads one site and reconstructs another")
    if says.get("signed"):
        raise RefusedError("it is signed: it keeps the largest absolute values, with their signs")
    if str(says.get("activation") or "topk") != "topk":
        raise RefusedError(f"its activation is {says['activation']}; topk is read")
    found = says.get("k")
    return Foreign(
        t["encoder.weight"],
        t["encoder.bias"],
        t["W_dec"],
        t["b_dec"],
        activation=TOP_K,
        before=t["b_dec"],
        k=k or (found and int(found)),
        site=str(says.get("hookpoint") or ""),
    )
