"""The probes of an audit on disk: one safetensors file for the plain one and the robust ones."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from reliance.audits.schema import PLAIN, PROBE_KIND, PROBE_SCHEMA, ROBUST
from reliance.base.artifacts import STAMP_KEY, Stamp, check_kind, content_stamp, hash_arrays, unreadable
from reliance.base.writing import atomic


class Probes(NamedTuple):
    """Binary linear classifiers: log-odds of the positive class = weight . (scale z/|z|) + bias."""

    weight: np.ndarray  # [q, p] float32
    bias: np.ndarray  # [q] float32
    alpha: np.ndarray  # [q] float64, strength of the augmentation; 0 is the plain probe, the first row
    direction: np.ndarray  # u [p] float32
    scale: float
    raw: bool = False  # whether the plain one, which was given then, reads z instead of z/|z|

    def names(self) -> list[str]:
        """plain, robust, robust, ..."""
        return [ROBUST if alpha else PLAIN for alpha in self.alpha]

    def row(self, alpha: float) -> int:
        """The row of a strength."""
        return int(np.flatnonzero(self.alpha == alpha)[0])

    def log_odds(self, unit: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Of unit embeddings [n, p], for every probe, [n, q]; lengths [n] that they had, for a raw one."""
        odds: np.ndarray = unit.astype(np.float32) @ (self.scale * self.weight).T
        if self.raw:
            if lengths is None:
                raise ValueError("a probe of embeddings that are not normalised needs their lengths")
            odds[:, 0] *= lengths
        odds += self.bias
        return odds


def save_probes(
    path: str | os.PathLike[str], probes: Probes, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> Stamp:
    """Write probes atomically; their scale is in the stamp."""
    tensors = _tensors(probes)
    said = {**params, "scale": float(probes.scale), **({"raw": True} if probes.raw else {})}
    stamp = content_stamp(PROBE_KIND, PROBE_SCHEMA, hash_arrays(tensors), said, inputs)
    with atomic(Path(path)) as temporary:
        save_file(tensors, temporary, {STAMP_KEY: stamp.to_json()})
    return stamp


def load_probes(path: str | os.PathLike[str]) -> tuple[Probes, Stamp]:
    """Read what `save_probes` wrote. Raises RelianceError if it is missing, damaged or something else."""
    try:
        with safe_open(path, framework="numpy") as file:
            stamp = Stamp.from_json((file.metadata() or {})[STAMP_KEY])
            check_kind(os.fspath(path), stamp, PROBE_KIND, PROBE_SCHEMA)
            tensors = {name: file.get_tensor(name) for name in ("weight", "bias", "alpha", "direction")}
            raw = bool(stamp.params.get("raw", False))
            probes = Probes(**tensors, scale=float(stamp.params["scale"]), raw=raw)
            if hash_arrays(_tensors(probes)) != stamp.id:
                raise ValueError("its tensors are not those its stamp names")
            return probes, stamp
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise unreadable(os.fspath(path), PROBE_KIND, error) from error


def _tensors(probes: Probes) -> dict[str, np.ndarray]:
    kinds = {"weight": np.float32, "bias": np.float32, "alpha": np.float64, "direction": np.float32}
    return {name: np.ascontiguousarray(getattr(probes, name), kind) for name, kind in kinds.items()}
