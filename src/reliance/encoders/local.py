"""What a local file of weights says about itself, read without torch.

Of a safetensors file only the header is read: its length (8 bytes, little-endian), then JSON.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from reliance.base.errors import RelianceError
from reliance.encoders import hugging_face
from reliance.encoders.fetch import CONFIG_NAME, WEIGHTS_NAMES

HUB = "hf-hub:"
TRANSFORMERS_NAMES = ("model.safetensors", "pytorch_model.bin")
HEADER_LIMIT = 100_000_000  # bytes, the format's own


def weights_file(path: Path, where: str) -> Path:
    """The file itself, or the weights in a downloaded hub folder.

    Raises RelianceError for a folder without weights.
    """
    if not path.is_dir():
        return path
    for name in (*WEIGHTS_NAMES, *TRANSFORMERS_NAMES):
        if (path / name).is_file():
            return path / name
    pieces = [name for name in TRANSFORMERS_NAMES if (path / f"{name}.index.json").is_file()]
    raise RelianceError(
        f"{where}.file",
        "a folder of weights is a model downloaded from the Hugging Face hub, its weights in one file",
        found=f"{path} with {pieces[0]} in several pieces"
        if pieces
        else f"{path} without {', '.join((*WEIGHTS_NAMES, *TRANSFORMERS_NAMES))}",
        allowed="a folder with one of these, or the path of the file itself",
        next_step="join the pieces with safetensors' load_file and save_file"
        if pieces
        else "name the file of weights, or finish the download",
    )


def own_metadata(path: Path, where: str) -> dict[str, Any]:
    """architecture and preprocess from the metadata of a safetensors file, as far as they are there.

    Other kinds of files say nothing. Raises RelianceError, naming `where`, for a damaged header.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        metadata = _header(path).get("__metadata__", {})
        own = {key: json.loads(metadata[key]) for key in ("architecture", "preprocess") if key in metadata}
        if not all(isinstance(value, dict) for value in own.values()):
            raise ValueError("its metadata is not a table")
        return own
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise unreadable(path, where, error) from error


def named_config(architecture: str | None) -> Path | None:
    """The path of an open_clip config that stands in the place of an architecture's name."""
    named = architecture is not None and architecture.endswith(".json")
    return Path(os.path.expanduser(str(architecture))) if named else None


def read_config(path: Path, where: str) -> dict[str, Any]:
    """The model config of an open_clip_config.json, or of a file as open_clip has one per architecture.

    Raises RelianceError, naming `where`, for anything else.
    """
    try:
        record = json.loads(path.read_text())
        config = dict(record if "vision_cfg" in record else record["model_cfg"])
        missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in config]
        if missing:
            raise ValueError(f"it does not say {', '.join(missing)}")
        return config
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise unreadable(path, where, error) from error


def config_beside(path: Path, own: dict[str, Any], architecture: str | None = None) -> Path | None:
    """The config that is named, open_clip's or transformers' beside the weights; none if these have one."""
    if own:
        return None
    beside = named_config(architecture) or path.with_name(CONFIG_NAME)
    return beside if beside.is_file() else hugging_face.beside(path)


def check_described(path: Path, architecture: str | None, known: Collection[str], where: str) -> None:
    """Raise RelianceError unless file and entry together say the architecture and how images are prepared.

    known : keys of preprocessing that the entry gives or its pretrained tag implies.
    """
    path = weights_file(path, where)
    own = own_metadata(path, where)
    if config_beside(path, own, architecture):
        return
    if "architecture" not in own and (architecture is None or architecture.startswith(HUB)):
        raise no_architecture(path, where)
    check_prepared({*known, *own.get("preprocess", {})}, where)


def check_shapes(path: Path, config: Mapping[str, Any], architecture: str, where: str) -> None:
    """Raise RelianceError if the header of a safetensors file has other shapes than the architecture.

    Looked at are the tensors that all of open_clip's own vision transformers have; others are left to the job
    that builds the model.
    """
    path = weights_file(path, where)
    if path.suffix != ".safetensors":
        return
    try:
        header = _header(path)
        named = [(name, entry["shape"]) for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise unreadable(path, where, error) from error
    shapes = {name.removeprefix("module.").removeprefix("model."): shape for name, shape in named}
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    patch, width = vision.get("patch_size"), vision.get("width", 768)
    if not isinstance(patch, int) or "visual.class_embedding" not in shapes:
        return
    expected = {
        "visual.conv1.weight": [width, 3, patch, patch],
        "visual.proj": [width, config.get("embed_dim")],
        "token_embedding.weight": [text.get("vocab_size", 49408), text.get("width", 512)],
    }
    for name, shape in expected.items():
        if shapes.get(name, shape) != shape:
            raise RelianceError(
                f"{where}.architecture",
                "the architecture fits the weights",
                found=f"{name} is {shapes[name]} in {path}, and {shape} in {architecture}",
                allowed="the architecture that the weights were trained with",
                next_step=f"correct `architecture`; a folder with {CONFIG_NAME} needs none",
            )


def check_prepared(known: Collection[str], where: str) -> None:
    """Raise RelianceError unless mean and std are among the known keys of preprocessing."""
    if "mean" in known and "std" in known:
        return
    raise RelianceError(
        f"{where}.preprocess",
        "weights from a file need to say how images are prepared for them",
        found=f"neither the file, nor an {CONFIG_NAME} beside it, nor the entry names mean and std",
        allowed="preprocess: {size, mean, std, interpolation, resize_mode}, "
        "or `pretrained` with the tag that the file is a copy of",
        next_step="the model's page or open_clip_config.json says which; wrong values run "
        "and give wrong embeddings",
    )


def check_range(where: str, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise RelianceError unless mean and std are of pixels from 0 to 1, one value per colour."""
    values = {"mean": [float(v) for v in mean], "std": [float(v) for v in std]}
    for name, found in values.items():
        if len(found) == 3 and all(0 <= v <= 1 for v in found) and (name == "mean" or min(found) > 0):
            continue
        scaled = ", ".join(f"{v / 255:.4g}" for v in found)
        bytes_ = len(found) == 3 and max(found) > 1 and min(found) >= 0
        step = (
            f"these are of pixels from 0 to 255: write [{scaled}]"
            if bytes_
            else "the model's page says which"
        )
        raise RelianceError(
            f"{where}.preprocess.{name}",
            "mean and std are of pixels from 0 to 1, red, green and blue",
            found=found,
            allowed="three values from 0 to 1" + ", above 0" * (name == "std"),
            next_step=step,
        )


def contradictions(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(key, value here, value there) where two model configs say different things.

    What only one of them says is no contradiction.
    """
    one, other = _flat(first), _flat(second)
    return [(key, one[key], other[key]) for key in sorted(one) if key in other and one[key] != other[key]]


def with_activation(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model config that says its activation function: GELU, if nothing else is said."""
    return {"quick_gelu": False, **config}


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[above + key] = list(value) if isinstance(value, tuple) else value
    return flat


def no_architecture(path: Path, where: str) -> RelianceError:
    """The error for a file whose architecture nobody names."""
    return RelianceError(
        f"{where}.architecture",
        "a file of weights needs an architecture",
        found=f"{path} does not name one, and there is no {CONFIG_NAME} beside it",
        allowed=f"an open_clip name, for example ViT-L-14, or the path of an {CONFIG_NAME}",
        next_step=f"add `architecture` (and `preprocess`), or put the model's {CONFIG_NAME} beside the file",
    )


def unreadable(path: Path, where: str, error: Exception) -> RelianceError:
    """The error for a damaged file of weights, or a damaged config beside it."""
    return RelianceError(
        f"{where}: {path}",
        "a file of weights, and the config beside it, must be readable",
        found=f"{type(error).__name__}: {error}",
        allowed="an intact safetensors file, or open_clip_config.json with model_cfg",
        next_step=f"the file is damaged: download it again, or name another copy as {where}.file",
    )


def _header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(HEADER_LIMIT, path.stat().st_size - 8):
            raise ValueError("it does not start as a safetensors file does")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError("its header is not a table")
    return header
