"""The head of an encoder: what stands between the class token and the image embedding.

    z = LN(x) W = ((x - mean x) / sqrt(var x + eps) * g + b) W            (Eq. 4 of the paper)

x [d] class token after the last block, g, b [d] of ln_post, W [d, p] the projection. Where x is the image
embedding itself, LayerNorm is left out and W is the identity. Everything after the embedding job needs only
x and this file; torch is not imported here.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from reliance.base.artifacts import STAMP_KEY, Stamp, check_kind, derived_stamp, hash_arrays, unreadable
from reliance.base.finite import all_finite
from reliance.base.tensors import write_tensors

KIND, SCHEMA = "head", 2


class Head(NamedTuple):
    """ln_post and proj of an image tower, or the identity."""

    ln_weight: np.ndarray  # [d] float32
    ln_bias: np.ndarray  # [d] float32
    proj: np.ndarray  # [d, p] float32
    eps: float  # added to the variance
    normed: bool = True  # False: z = x W without LayerNorm, W the identity


def identity_head(p: int) -> Head:
    """The head of x that is the image embedding [p] itself: z = x."""
    return Head(np.ones(p, np.float32), np.zeros(p, np.float32), np.eye(p, dtype=np.float32), 0.0, False)


def project(x: np.ndarray, head: Head) -> np.ndarray:
    """Image embeddings [n, p] of x [n, d], not normalised; x itself for an identity head.

    float64 in, float64 out; any other dtype is computed and returned in float32.
    """
    x = np.asarray(x)
    x = x.astype(np.float64 if x.dtype == np.float64 else np.float32, copy=False)
    if not head.normed:
        return x
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + x.dtype.type(head.eps))
    z: np.ndarray = (centred / scale * head.ln_weight + head.ln_bias) @ head.proj
    return z.astype(x.dtype, copy=False)


def save_head(path: str | os.PathLike[str], head: Head, weights: str, site: str = "class_token") -> None:
    """Write a head atomically as safetensors, with eps and its stamp.

    weights : id of its encoder's weights. site : where x of this head is read.
    Raises RelianceError for values that are not finite.
    """
    tensors = _tensors(head)
    all_finite(path, tensors)
    params = {"eps": float(head.eps), "normed": head.normed, "site": site, "content": hash_arrays(tensors)}
    stamp = derived_stamp(KIND, SCHEMA, params, {"weights": weights})
    write_tensors(Path(path), tensors, {"eps": repr(float(head.eps)), STAMP_KEY: stamp.to_json()})


def _tensors(head: Head) -> dict[str, np.ndarray]:
    return {n: np.ascontiguousarray(getattr(head, n), np.float32) for n in ("ln_weight", "ln_bias", "proj")}


def load_head(path: str | os.PathLike[str]) -> tuple[Head, Stamp]:
    """Read what `save_head` wrote; the stamp names the weights (inputs) and the site (params).

    Raises RelianceError if the file is missing, damaged, not finite, or another kind of artifact.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            stamp = Stamp.from_json(metadata[STAMP_KEY])
            check_kind(os.fspath(path), stamp, KIND, SCHEMA)
            tensors = {name: file.get_tensor(name) for name in ("ln_weight", "ln_bias", "proj")}
            head = Head(**tensors, eps=float(metadata["eps"]), normed=bool(stamp.params["normed"]))
            if hash_arrays(_tensors(head)) != stamp.params["content"]:
                raise ValueError("its tensors are not those its stamp names")
            all_finite(path, _tensors(head))
            return head, stamp
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise unreadable(os.fspath(path), KIND, error) from error
