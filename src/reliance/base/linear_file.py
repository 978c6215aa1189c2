"""A linear classifier that somebody else trained, as a file: weight [C, p] and bias [C].

npz, safetensors, or a table of tensors that torch loads with weights_only. Nothing in a file is run: arrays
of objects and pickles of anything else are refused.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliance.base.errors import RelianceError
from reliance.base.finite import all_finite

WEIGHT, BIAS, CLASSES = "weight", "bias", "classes"
ALLOWED = (
    "an .npz or .safetensors file, or a .pt/.pth/.bin that torch loads with weights_only=True, with `weight` "
    "[C, p] and `bias` [C], and if you like `classes`, C names"
)


class Linear(NamedTuple):
    """outputs [C] = weight . features + bias."""

    weight: np.ndarray  # [C, p] float32
    bias: np.ndarray  # [C] float32
    classes: tuple[str, ...] = ()  # what the rows are about, where the file says it


def read_linear(path: str | os.PathLike[str]) -> Linear:
    """A classifier from its file, kept while the file is as it was.

    Two names for one row, as scikit-learn has it, are the rows -w/2 and w/2, whose difference is the row.
    Raises RelianceError for a file that is none, whose shapes do not fit, or whose numbers are not finite.
    """
    path = os.fspath(path)
    try:
        state = os.stat(path)
    except OSError as error:
        raise _refused(path, f"{type(error).__name__}: {error.strerror}", "correct the path") from None
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: str, size: int, changed: int) -> Linear:
    reader = READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise _refused(path, f"a file called {Path(path).name}", "save it in one of these forms")
    try:
        arrays, names = reader(path)
    except RelianceError:
        raise
    except Exception as error:  # each reader has its own: zip, pickle and header errors
        text = " ".join(str(error).split())[:160]
        raise _refused(path, f"{type(error).__name__}: {text}", "save weight and bias alone") from None
    weight, bias = _pair(path, arrays)
    linear = Linear(weight.astype(np.float32), bias.astype(np.float32), tuple(names))
    all_finite(path, linear._asdict() | {CLASSES: np.zeros(0)}, step="train it again, or choose another")
    if len(names) == 2 and len(weight) == 1:
        signs = np.array([-0.5, 0.5], np.float32)
        return Linear(signs[:, None] * linear.weight, signs * linear.bias, linear.classes)
    if names and (len(names) != len(weight) or len(set(names)) != len(names)):
        found = f"{len(set(names))} different names for {len(weight)} rows"
        raise _refused(path, found, "give each row one name, or leave `classes` out")
    return linear


def _pair(path: str, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """weight and bias, with or without one prefix, as in `fc.weight`."""
    prefixes = [
        name.removesuffix(WEIGHT) for name in arrays if name in (WEIGHT,) or name.endswith(f".{WEIGHT}")
    ]
    both = [prefix for prefix in prefixes if f"{prefix}{BIAS}" in arrays]
    if len(prefixes) != 1 or len(both) != 1:
        found = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items()) or "no arrays"
        step = "name them so; a classifier without a bias has one of zeros"
        if len(prefixes) > 1:
            step = "a classifier of several layers is not linear: save its last layer alone"
        raise _refused(path, found, step)
    weight, bias = arrays[f"{both[0]}{WEIGHT}"], arrays[f"{both[0]}{BIAS}"].reshape(-1)
    numbers = all(array.dtype.kind in "fiu" for array in (weight, bias))
    if not numbers or weight.ndim != 2 or not weight.size or len(bias) != len(weight):
        found = f"weight {weight.dtype} {list(weight.shape)}, bias {bias.dtype} {list(bias.shape)}"
        raise _refused(path, found, "a row of weight and a number of bias for each class; transpose [p, C]")
    return weight, bias


def _of_npz(path: str) -> tuple[dict[str, np.ndarray], list[str]]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    return arrays, [str(name) for name in arrays.pop(CLASSES, np.zeros(0, str)).reshape(-1)]


def _of_safetensors(path: str) -> tuple[dict[str, np.ndarray], list[str]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:  # whose numpy has no bfloat16
        names = json.loads((file.metadata() or {}).get(CLASSES, "[]"))
        tensors = {name: file.get_tensor(name).float().numpy() for name in list(file.keys())}
    return tensors, list(map(str, names))


def _of_torch(path: str) -> tuple[dict[str, np.ndarray], list[str]]:
    import torch  # takes seconds: only for files of torch

    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = {CLASSES: content.get(CLASSES, []), **content["state_dict"]}
    if not isinstance(content, Mapping):
        raise TypeError(f"it holds a {type(content).__name__}, and no table of tensors")
    tensors = {str(n): v.float().numpy() for n, v in content.items() if isinstance(v, torch.Tensor)}
    return tensors, [str(name) for name in content.get(CLASSES, [])]


READERS: dict[str, Callable[[str], tuple[dict[str, np.ndarray], list[str]]]] = {
    ".npz": _of_npz,
    ".safetensors": _of_safetensors,
    **dict.fromkeys((".pt", ".pth", ".bin"), _of_torch),
}


def _refused(path: str, found: str, step: str) -> RelianceError:
    return RelianceError(
        path,
        "a linear classifier is a file with a weight and a bias, and nothing in it is run",
        found=found,
        allowed=ALLOWED,
        next_step=step,
    )
