"""The SAE as a file, read without torch, and the embeddings it learns from.

An imported checkpoint fits this form too, see `formats.canonical`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    check_kind,
    check_same,
    content_stamp,
    hash_arrays,
    unreadable,
)
from reliance.base.errors import RelianceError, make_again
from reliance.base.finite import all_finite
from reliance.base.writing import atomic
from reliance.encoders.stored import Embeddings, check_site
from reliance.units.sae.input_norm import InputNorm

KIND, SCHEMA = "sae", 1
QUALITY_KIND, QUALITY_SCHEMA = "sae_quality", 2
_ARRAYS = ("encoder_weight", "encoder_bias", "decoder_weight", "bias")
_NORM = "input_norm"
_UNIT_TOLERANCE = 1e-3
_READ_ROWS = 16384  # rows read from disk at a time


class Sae(NamedTuple):
    """a = f((x - b) E^T + e), xhat = a V + b (Eq. 1); float32 arrays."""

    encoder_weight: np.ndarray  # E [m, d]
    encoder_bias: np.ndarray  # e [m]
    decoder_weight: np.ndarray  # V [m, d], unit rows (Eq. 9)
    bias: np.ndarray  # b [d]
    k: int  # active latents per image, at most
    activation: str = "topk"  # what f is: that of the ENCODER of its kind
    threshold: np.ndarray | None = None  # theta [m] of kinds that have it
    input_norm: InputNorm | None = None  # what is done to x first; b is added before that is undone

    @property
    def m(self) -> int:
        """Number of latents."""
        return int(self.encoder_weight.shape[0])

    @property
    def d(self) -> int:
        """Width of the class token."""
        return int(self.encoder_weight.shape[1])

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name: four, and the thresholds if it has them."""
        optional = {} if self.threshold is None else {"threshold": self.threshold}
        return {name: getattr(self, name) for name in _ARRAYS} | optional

    @property
    def offset(self) -> np.ndarray:
        """What x is without any latent, float32 [d]; for a normalised x, that of the mean image."""
        return self.bias if self.input_norm is None else self.input_norm.offset(self.bias)

    @property
    def stored(self) -> dict[str, np.ndarray]:
        """What the file holds."""
        norm = {} if self.input_norm is None else {_NORM: self.input_norm.array}
        return {name: np.ascontiguousarray(array) for name, array in {**self.arrays, **norm}.items()}


def save_sae(path: str | Path, sae: Sae, params: Mapping[str, Any], inputs: Mapping[str, str]) -> Stamp:
    """Write an SAE atomically; its id is the hash of its arrays.

    `params` has "site", where in the encoder x was read; `inputs` has "encoder", the id of its weights, and
    the ids of the embeddings learned from.
    Raises RelianceError if shapes, dtypes, k or the decoder's lengths are not those of an SAE.
    """
    _check(path, sae)
    arrays = sae.stored
    shape = {"m": sae.m, "d": sae.d, "k": sae.k, "activation": sae.activation}
    stamp = content_stamp(KIND, SCHEMA, hash_arrays(arrays), {**params, **shape}, inputs)
    with atomic(path) as temporary:
        save_file(arrays, temporary, metadata={STAMP_KEY: stamp.to_json()})
    return stamp


def load_sae(path: str | Path) -> tuple[Sae, Stamp]:
    """Read an SAE and check kind, schema version, shapes, dtypes and the hash of its arrays.

    Raises RelianceError for anything else; there is no fallback to other weights.
    """
    try:
        with safe_open(str(path), framework="numpy") as stream:
            text = (stream.metadata() or {}).get(STAMP_KEY)
            names = set(stream.keys())
            arrays = {n: stream.get_tensor(n) for n in (*_ARRAYS, "threshold", _NORM) if n in names}
    except (OSError, SafetensorError) as error:
        raise unreadable(path, KIND, error) from error
    if text is None or not set(_ARRAYS) <= set(arrays):
        found = "no stamp" if text is None else f"the arrays {', '.join(sorted(names))}"
        raise _refused(path, "an SAE has a stamp and four arrays", found, ", ".join(_ARRAYS))
    stamp = Stamp.from_json(text)
    check_kind(path, stamp, KIND, SCHEMA)
    own = {name: array for name, array in arrays.items() if name != _NORM}
    norm = InputNorm.of(arrays[_NORM]) if _NORM in arrays else None
    sae = Sae(**own, k=stamp.params["k"], activation=stamp.params["activation"], input_norm=norm)
    _check(path, sae)
    content = hash_arrays(arrays)
    if content != stamp.id:
        raise _refused(path, "the arrays are those its stamp names", f"hash {content[:12]}", stamp.id[:12])
    return sae, stamp


def check_fits(path: str | Path, sae: Sae, stamp: Stamp, embeddings: Embeddings) -> None:
    """Raise RelianceError unless the SAE was trained on the encoder, site and width of these embeddings."""
    check_same(
        "encoder weights",
        (path, stamp.inputs["encoder"]),
        (embeddings.path, embeddings.stamp.inputs["weights"]),
    )
    check_site(path, str(stamp.params.get("site", "class_token")), embeddings)
    width = embeddings.layouts["x"].shape[0]
    if width != sae.d:
        raise _refused(path, f"its width is that of {embeddings.path}", f"d = {sae.d}", f"d = {width}")


class Data(NamedTuple):
    """Embeddings in memory."""

    x: np.ndarray  # float16 [N, d], readable images only
    mean: np.ndarray  # float32 [d]
    power: float  # mean |x|^2
    variance: float  # mean |x - mean|^2
    site: str  # where in the encoder
    inputs: dict[str, str]  # "encoder", "embeddings_0", ... -> ids


def load_data(manifests: Sequence[Path]) -> Data:
    """Read the readable rows of embeddings of one site of one encoder, in the order of the manifests.

    Raises RelianceError if the manifests name different weights or sites, or a value does not fit float16.
    """
    splits = [Embeddings(path) for path in manifests]
    weights = splits[0].stamp.inputs["weights"]
    for other in splits[1:]:
        found = (other.path, other.stamp.inputs["weights"])
        check_same("encoder weights", found, (splits[0].path, weights))
        check_site(other.path, other.site, splits[0])
    count = sum(int(split.read("valid").sum()) * (split.sampled or 1) for split in splits)
    x = np.empty((count, *splits[0].layouts["x"].shape), np.float16)
    total, squares, filled = np.zeros(x.shape[1]), 0.0, 0
    for split in splits:
        for block in readable_blocks(split, _READ_ROWS):
            rows = x[filled : filled + len(block)]
            with np.errstate(over="ignore"):
                rows[:] = block
            if not np.isfinite(rows).all():
                raise _refused(
                    split.path, "embeddings to learn from are finite and fit float16",
                    f"a value of {np.abs(block).max():.4g}", "at most 65504",
                )  # fmt: skip
            wide = rows.astype(np.float64)
            total += wide.sum(0)
            squares += float(np.vdot(wide, wide))
            filled += len(rows)
    mean, power = total / max(count, 1), squares / max(count, 1)
    inputs = {"encoder": weights} | {f"embeddings_{i}": s.stamp.id for i, s in enumerate(splits)}
    return Data(x, mean.astype(np.float32), power, power - float(mean @ mean), splits[0].site, inputs)


def readable_blocks(split: Embeddings, rows: int) -> Iterator[np.ndarray]:
    """x [n, d] of the readable images of a split, or their sampled tokens, of at most `rows` at a time."""
    for start, stop in split.blocks(max(1, rows // (split.sampled or 1))):
        yield split.learned_from(start, stop)


def _check(path: str | Path, sae: Sae) -> None:
    m, d = sae.encoder_weight.shape if sae.encoder_weight.ndim == 2 else (0, 0)
    expected = {"encoder_weight": (m, d), "encoder_bias": (m,), "decoder_weight": (m, d), "bias": (d,)}
    expected["threshold"] = (m,)
    for name, array in sae.arrays.items():
        if array.shape != expected[name] or array.dtype != np.float32 or not array.size:
            found = f"{name} {array.dtype} {array.shape}"
            raise _refused(path, "arrays of an SAE are float32 and agree in m and d", found, str(expected))
    if not 1 <= sae.k <= m:
        raise _refused(path, "an SAE has 1 <= k <= m", f"k = {sae.k}, m = {m}", f"1 to {m}")
    all_finite(path, sae.arrays)
    lengths = np.linalg.norm(sae.decoder_weight, axis=1)
    worst = float(np.abs(lengths - 1).max())
    if not worst <= _UNIT_TOLERANCE:
        raise _refused(path, "decoder rows have length one", f"a length off by {worst:.3g}", "1")


def _refused(path: str | Path, rule: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        path,
        rule,
        found=found,
        allowed=allowed,
        next_step=f"the file was changed, or belongs to another model: {make_again(path)}",
    )
