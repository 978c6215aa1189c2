"""The files of an SAE that somebody else trained: what is read, and what is in it. torch only for pickles."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliance.base.errors import RelianceError

CONFIGS = ("cfg.json", "config.json", "runner_cfg.json")
WEIGHTS = ("sae_weights.safetensors", "sae.safetensors")  # of SAELens, of sparsify
SAFE, PICKLED = (".safetensors",), (".ckpt", ".pt", ".pth", ".pkl", ".gz", ".bin")
_STATES = ("state_dict", "model_state_dict", "model")  # where a checkpoint may have its tensors


class Source(NamedTuple):
    """What the files hold."""

    path: Path  # of the weights
    tensors: dict[str, np.ndarray]  # by their names; numbers are float32
    config: dict[
        str, Any
    ]  # from a JSON file beside the weights, their metadata, or what is pickled with them

    def says(self, *names: str) -> Any:
        """The value of the first of some keys that the configuration has, at its top or below `metadata`."""
        nested = self.config.get("metadata")
        places = [self.config, nested if isinstance(nested, dict) else {}]
        found = [place[name] for name in names for place in places if place.get(name) is not None]
        return found[0] if found else None


def files_of(path: str | Path) -> list[Path]:
    """The files to read for an SAE at `path`: its weights, then its configuration if there is one beside it.

    `path` is a file, or a folder with one file of weights. Raises RelianceError for anything else.
    """
    path = Path(path)
    if path.is_dir():
        named = [path / name for name in WEIGHTS if (path / name).is_file()]
        kept = sorted(p for p in path.iterdir() if p.is_file() and p.suffix in (*SAFE, *PICKLED))
        found = named or [p for p in kept if "sparsity" not in p.name]
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise _refused(path, "a folder holds one file of weights", names, "name the file itself")
        weights = found[0]
    elif path.is_file() and path.suffix in (*SAFE, *PICKLED):
        weights = path
    else:
        found_there = f"a file *{path.suffix}" if path.is_file() else "no such file or folder"
        allowed = f"a folder, or a file {', '.join((*SAFE, *PICKLED))}"
        raise _refused(path, "an SAE that is imported is there", found_there, "correct sae.import", allowed)
    beside = [weights.with_name(name) for name in CONFIGS if weights.with_name(name).is_file()]
    return [weights, *beside[:1]]


def open_source(files: list[Path]) -> Source:
    """Read what `files_of` listed. Nothing that a file says is ever executed.

    Raises RelianceError if a file cannot be read, or holds no tensors.
    """
    weights, *beside = files
    tensors, config = _from_safetensors(weights) if weights.suffix in SAFE else _from_pickle(weights)
    for path in beside:
        try:
            config = {**config, **json.loads(path.read_text(encoding="utf-8"))}
        except (OSError, ValueError, TypeError) as error:
            raise _refused(path, "it is a JSON object", error, "the file is damaged: get it again") from error
    if not tensors:
        raise _refused(
            weights, "a file of an SAE holds tensors", "none", "name the file that has the weights"
        )
    return Source(weights, tensors, config)


def _from_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as stream:  # numpy has no bfloat16
            tensors = {name: _plain(stream.get_tensor(name)) for name in stream.keys()}  # noqa: SIM118
            metadata = stream.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise _refused(path, "it is a readable file of safetensors", error, "get it again") from error
    return tensors, {name: _parsed(text) for name, text in metadata.items()}


def _from_pickle(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    import torch

    from reliance.units.sae.formats.pickles import Inert, PickleError, read_pickle, state_of

    try:
        content = read_pickle(path)
    except PickleError as error:
        step = "save its state_dict with torch.save(sae.state_dict(), FILE), or as safetensors"
        raise _refused(
            path, "tensors are read from a pickle, and nothing in it is run", error, step
        ) from error
    if isinstance(content, Inert):  # a module that was saved whole
        tensors = {name: _plain(tensor) for name, tensor in state_of(content).items()}
        return tensors, {"class": type(content).__name__, **_values(vars(content))}
    content = content if isinstance(content, dict) else {}
    below = [name for name in _STATES if isinstance(content.get(name), dict)]
    state = content[below[0]] if below else content
    tensors = {str(n): _plain(v) for n, v in state.items() if isinstance(v, torch.Tensor)}
    config = content.get("cfg", content.get("config"))
    values = config if isinstance(config, dict) else getattr(config, "__dict__", {})
    return tensors, {**_values(content), **values}


def _values(content: dict[str, Any], levels: int = 3) -> dict[str, Any]:
    """What is a number or a word; what is below a dict has dotted names."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict) and levels:
            below = _values(value, levels - 1)
            found |= {f"{name}.{inner}": item for inner, item in below.items()}
        elif isinstance(value, (int, float, str)):
            found[str(name)] = value
    return found


def _plain(tensor: Any) -> np.ndarray:
    """A tensor as an array, numbers as float32."""
    found: np.ndarray = (tensor.float() if tensor.is_floating_point() else tensor).detach().cpu().numpy()
    return found


def _parsed(text: str) -> Any:
    """A value of a safetensors file's metadata: JSON if it is, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refused(path: Path, rule: str, found: object, step: str, allowed: str = "such a file") -> RelianceError:
    return RelianceError(path, rule, found=found, allowed=allowed, next_step=step)
