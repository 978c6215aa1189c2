"""Pictures with the heat of every method of a segmentation, kept to be looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file

from reliance.base.artifacts import STAMP_KEY, Stamp, check_kind, derived_stamp, hash_arrays
from reliance.base.stamps import read_stamp
from reliance.base.tensors import write_tensors

KIND, SCHEMA = "lens_segment_examples", 1


class Examples(NamedTuple):
    """Some pictures [k]."""

    image_id: np.ndarray  # int64 [k]
    class_id: np.ndarray  # int64 [k], the class that wins
    pixels: np.ndarray  # uint8 [k, h, w, 3], as the encoder sees them
    mask: np.ndarray  # uint8 [k, h, w], 1 inside
    heat: np.ndarray  # uint8 [k, methods, h, w], scaled on each picture to 0..255


def write_examples(
    path: Path, found: Examples, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> Stamp:
    """Write examples with their stamp; params have the `methods` of the heat, in its order."""
    arrays = found._asdict()
    stamp = derived_stamp(KIND, SCHEMA, {**params, "content": hash_arrays(arrays)}, inputs)
    write_tensors(path, arrays, {STAMP_KEY: stamp.to_json()})
    return stamp


def read_examples(path: Path) -> tuple[Examples, Stamp]:
    """What `write_examples` wrote. Raises RelianceError for anything else."""
    stamp = read_stamp(path)
    check_kind(path, stamp, KIND, SCHEMA)
    return Examples(**load_file(path)), stamp
