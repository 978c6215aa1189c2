"""overcomplete: an SAE with the linear encoder, saved whole (as its users do) or as a state_dict.

    pre = x W^T + c [then a batch norm, which is linear when it is not trained]      xhat = a D
    a = topk(relu(pre)) | relu(pre) [relu(pre) >= theta] | relu(pre), of the class SAE
    D = rows / |row| * exp(multiplier); of archetypal ones W C + Relax, times that

theta is exp(thresholds), or the running threshold of batch top-k. A state_dict has neither k, which then has
to be told, nor that threshold; config.json beside it may say `top_k`, and `mean`, which x is then centred by.
"""

import re

import numpy as np

from reliance.units.sae.formats.canonical import JUMP, TOP_K, Foreign, RefusedError
from reliance.units.sae.formats.source import Source

_ROWS, _LINEAR, _NORM = "dictionary._weights", "encoder.final_block.0", "encoder.final_block.1"
_MIXED = ("dictionary.W", "dictionary.C", "dictionary.Relax")
_KINDS = re.compile(r"SAE|(RA)?(TopK|BatchTopK|Jump)(SAE)?")  # classes; others choose latents in other ways
_BELOW = np.float32(1 - 1e-6)  # a unit at its threshold fires there, and not here
_EPS = 1e-5  # of torch's batch norm
_LENGTHS = 0.2  # how far rows may be from length one for their normalisation to be the usual one


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    return _ROWS in source.tensors or set(_MIXED) <= set(source.tensors)


def read(source: Source, k: int | None) -> Foreign:
    """The SAE. Raises RefusedError."""
    t = source.tensors
    others = [
        name for name in t if name.startswith("encoder.") and not name.startswith("encoder.final_block.")
    ]
    if f"{_LINEAR}.weight" not in t or others:
        raise RefusedError(f"its encoder is not linear: {', '.join(others[:3]) or 'no final_block'}")
    kind, found = str(source.config.get("class", "")), source.config.get("top_k")
    if kind and not _KINDS.fullmatch(kind):
        raise RefusedError(f"its class is {kind}; SAE, TopKSAE, BatchTopKSAE, JumpSAE and RA... are read")
    if "Jump" in kind and "thresholds" not in t:
        raise RefusedError(f"a {kind} without its thresholds", "save it again, with them")
    if "BatchTopK" in kind and "running_threshold" not in t:
        raise RefusedError("a batch top-k SAE without its running threshold", "save it whole after training")
    threshold = np.exp(t["thresholds"]) if "thresholds" in t else t.get("running_threshold")
    threshold = None if threshold is None else threshold * _BELOW
    encoder, bias = _folded(t)
    decoder = _dictionary(t)
    mean = np.asarray(source.config.get("mean", np.zeros(decoder.shape[1])), np.float32)
    return Foreign(
        encoder,
        bias,
        decoder,
        mean,
        activation=TOP_K if threshold is None and kind != "SAE" else JUMP,
        before=mean,
        k=k or (found and int(found)),
        threshold=threshold,
        model=str(source.config.get("model_name", "")),
        site=str(source.config.get("hook_name", "")),
        notes=() if kind or "thresholds" in t else ("taken for a TopKSAE with the k that was given",),
    )


def _dictionary(t: dict[str, np.ndarray]) -> np.ndarray:
    """D [m, d], as it is when it is evaluated."""
    radius = np.exp(t.get("dictionary.multiplier", np.float32(0)))
    if _ROWS not in t:
        mixing, atoms, free = (t[name] for name in _MIXED)
        mixed: np.ndarray = (mixing @ atoms + free) * radius
        return mixed
    lengths = np.linalg.norm(t[_ROWS], axis=1, keepdims=True)
    if np.abs(lengths - 1).max() > _LENGTHS:
        raise RefusedError(
            f"rows of its dictionary have lengths from {lengths.min():.3g} to {lengths.max():.3g}: another "
            "normalisation than l2 was chosen, which the file does not say",
            "if it was l2, call it once in training mode before it is saved",
        )
    unit: np.ndarray = t[_ROWS] / lengths * radius
    return unit


def _folded(t: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the encoder, with a batch norm folded in."""
    weight = t[f"{_LINEAR}.weight"]
    bias = t.get(f"{_LINEAR}.bias", np.zeros(len(weight), np.float32))
    if not any(name.startswith(_NORM) for name in t):
        return weight, bias
    if f"{_NORM}.running_mean" not in t:
        raise RefusedError("its encoder ends in a layer norm over latents, which is not linear")
    gain = t[f"{_NORM}.weight"] / np.sqrt(t[f"{_NORM}.running_var"] + _EPS)
    return weight * gain[:, None], (bias - t[f"{_NORM}.running_mean"]) * gain + t[f"{_NORM}.bias"]
