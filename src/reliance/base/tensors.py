"""safetensors with equal bytes every time, however many metadata keys: the library shuffles those."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from reliance.base.writing import atomic

LENGTH = 8  # bytes of the header's length, little-endian, at the start of a file


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write `tensors` and `metadata` atomically; the same arguments give the same bytes."""
    # The library takes the bytes behind an array without asking for its strides.
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    data = save(contiguous, metadata=dict(metadata))
    end = LENGTH + int.from_bytes(data[:LENGTH], "little")
    header = json.loads(data[LENGTH:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    # The same entries in another order: as long as before.
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(end - LENGTH)
    with atomic(path) as temporary:
        temporary.write_bytes(data[:LENGTH] + text + data[end:])
