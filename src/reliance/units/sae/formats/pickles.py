"""Tensors out of pickles, of which nothing is run.

torch's own restricted reader is asked first. Files that hold a configuration as an object of a class, which
it refuses, are read by one that gives every class and function an inert stand-in: it takes any arguments,
keeps what it is told to be, and does nothing. Only what makes a tensor of bytes is real.
"""

import gzip
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch


class PickleError(ValueError):
    """A file that no tensors can be read from."""


class Inert:
    """Stands for an object of any class: it has the attributes that the pickle gives it."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.__dict__.update({str(name): value for name, value in part.items()})

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__dict__[str(key)] = value

    def append(self, value: Any) -> None:
        """Of a list that is something else."""

    def extend(self, values: Any) -> None:
        """Of a list that is something else."""


def _storage(content: bytes) -> Any:
    """The storage of a tensor that was pickled without torch.save."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


_REAL: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Unpickler(pickle.Unpickler):
    """A reader without any class or function but those of `_REAL`."""

    def find_class(self, module: str, name: str) -> Any:
        return _REAL.get((module, name)) or type(name, (Inert,), {})


def _load(stream: Any, **_: Any) -> Any:
    return _Unpickler(stream).load()


def state_of(module: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    """Tensors of a module that was pickled whole, by the names that its state_dict would have."""
    own = vars(module) if isinstance(module, Inert) else {}
    tables = [own, *(own.get(name) for name in ("_parameters", "_buffers"))]
    named = [item for table in tables if isinstance(table, dict) for item in table.items()]
    found = {f"{prefix}{name}": value for name, value in named if isinstance(value, torch.Tensor)}
    for name, inner in (own.get("_modules") or {}).items():
        found |= state_of(inner, f"{prefix}{name}.")
    return found


_MODULE = SimpleNamespace(__name__="pickle", Unpickler=_Unpickler, load=_load)


def read_pickle(path: Path) -> Any:
    """What a file of torch.save holds, or a compressed pickle. Raises PickleError if it cannot be read."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                return _load(stream)
        if zipfile.is_zipfile(path) and any(
            n.endswith("/constants.pkl") for n in zipfile.ZipFile(path).namelist()
        ):
            raise ValueError("it is a TorchScript program, which would be run")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_MODULE)
    except Exception as error:  # a damaged pickle may raise anything
        first = next(iter(str(error).splitlines()), "")
        raise PickleError(f"{type(error).__name__}: {first[:200]}") from error
