"""The paper's public code: a checkpoint of Lightning with weight norm, top-k without ReLU.

    a = topk(x W_enc^T + c)    xhat = a W_dec^T    W_enc = g v / |v| by row    W_dec = g v / |v| by column

`.weight` is stale before the first forward: weights are computed from g and v.
"""

import numpy as np

from reliance.units.sae.formats.canonical import SIGNED, Foreign
from reliance.units.sae.formats.source import Source

_NORMED = (
    ("encoder.0.weight_g", "encoder.0.weight_v"),
    ("encoder.0.parametrizations.weight.original0", "encoder.0.parametrizations.weight.original1"),
)


def fits(source: Source) -> bool:
    """Whether it looks like one."""
    return any(g in source.tensors and v in source.tensors for g, v in _NORMED)


def read(source: Source, k: int | None) -> Foreign:
    """The SAE; the file has no k."""
    t = source.tensors
    encoder, decoder = (_weight(t, layer, axis) for layer, axis in (("encoder.0", 1), ("decoder", 0)))
    m, d = encoder.shape
    found = source.says("sae_k", "k")
    return Foreign(
        encoder,
        t.get("encoder.0.bias", np.zeros(m, np.float32)),
        decoder.T,
        t.get("decoder.bias", np.zeros(d, np.float32)),
        activation=SIGNED,
        k=k or (found and int(found)),
        notes=("its activations may be negative: top-k without ReLU, as the paper's public code has it",),
    )


def _weight(tensors: dict[str, np.ndarray], layer: str, axis: int) -> np.ndarray:
    """g v / |v|, lengths along an axis; g keeps one entry for each of the others."""
    names = [
        tuple(name.replace("encoder.0", layer) for name in pair)
        for pair in _NORMED
        if pair[0].replace("encoder.0", layer) in tensors
    ]
    g, v = (tensors[name].astype(np.float64) for name in names[0])
    weight: np.ndarray = g * v / np.linalg.norm(v, axis=axis, keepdims=True)
    return weight.astype(np.float32)
