"""open_clip's tables of architectures and pretrained tags, read without importing torch.

`check_encoder` validates an encoder's config entry in milliseconds, before any job exists:
`import open_clip` takes seconds. Architectures are JSON files in the installed package; the table
of tags is Python, of which only the plain assignments are run. Should a release of open_clip be
written differently, the package itself is imported.
"""

import ast
import copy
import difflib
import importlib.util
import json
import os
import re
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from reliance.base.errors import RelianceError
from reliance.encoders.families.family import check_parts, needed
from reliance.encoders.fetch import CONFIG_NAME
from reliance.encoders.local import (
    HUB,
    check_described,
    check_range,
    check_shapes,
    named_config,
    read_config,
)

PREPROCESS_KEYS = ("size", "mean", "std", "interpolation", "resize_mode", "fill_color")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,95}/[\w.\-]{1,96}", flags=re.ASCII)
HF_OPTIONS, CLIP_OPTIONS = ("clean", "strip_sep_token", "language"), ("clean",)


def check_encoder(
    architecture: str | None,
    pretrained: str | None = None,
    file: str | None = None,
    random: bool = False,
    preprocess: Mapping[str, Any] | None = None,
    *,
    encoder: str = "",
    role: str = "encoder",
    needs: Collection[str] | None = None,
) -> None:
    """Raise RelianceError if this entry cannot name a usable encoder; nothing is downloaded.

    architecture : open_clip name or "hf-hub:owner/name"; None if `file` says it itself.
    pretrained : tag of weights; its activation must be the architecture's.
    file : local weights; must exist, and say with the rest how images are prepared.
    random : random weights, for trying out.
    preprocess : explicit image preprocessing, keys PREPROCESS_KEYS.
    encoder : its name in the config, for messages.
    role : "encoder" (read at its class token, if `needs` says nothing else) or "labeller" (any CLIP).
    needs : parts that the sites need at which it is read; None: those of its role.
    """
    where = f"encoders.{encoder}" if encoder else "encoder"
    _check_sources(where, architecture, pretrained, file, random)
    unknown = sorted(set(preprocess or {}) - set(PREPROCESS_KEYS))
    if unknown:
        raise RelianceError(
            f"{where}.preprocess",
            "image preprocessing has known keys",
            found=", ".join(unknown),
            allowed=", ".join(PREPROCESS_KEYS),
            next_step="correct or remove the key",
        )
    if architecture is not None and architecture.startswith(HUB):
        _check_hub_id(architecture.removeprefix(HUB), where)
    known = {key for key, value in (preprocess or {}).items() if value is not None}
    if architecture is not None and not architecture.startswith(HUB):
        config = model_config(architecture, where)
        if pretrained is not None:
            known |= set(pretrained_config(architecture, pretrained, where))
        wanted = needed(role) if needs is None else needs
        check_parts(config, wanted, f"{where}.architecture", architecture)
        check_tokenizer(config["text_cfg"], where)
    check_range(where, *((preprocess or {}).get(key) or (0.5, 0.5, 0.5) for key in ("mean", "std")))
    if file is not None:
        path = Path(os.path.expanduser(file))
        check_described(path, architecture, known, where)
        if architecture is not None and not architecture.startswith(HUB):
            check_shapes(path, model_config(architecture, where), architecture, where)


def architectures() -> list[str]:
    """Names of all architectures."""
    return list(_configs(_package()))


def model_config(architecture: str, where: str = "architecture") -> dict[str, Any]:
    """open_clip's model config of an architecture, which may be the path of one (.json).

    Raises RelianceError with the nearest names.
    """
    if named := named_config(architecture):
        return read_config(named, f"{where}.architecture")
    if (path := _configs(_package()).get(architecture)) is not None:
        config: dict[str, Any] = json.loads(_text(path))
        return config
    raise RelianceError(
        f"{where}.architecture",
        "an architecture is one that open_clip knows",
        found=architecture,
        allowed=_nearest(architecture, architectures()),
        next_step="correct the name; for a model on the Hugging Face hub write hf-hub:owner/name, for one of "
        "your own the path of its open_clip_config.json",
    )


def embed_dim(architecture: str | None, file: str | None) -> int | None:
    """p, as far as a name or a config says it before anything is downloaded or built."""
    if architecture is not None and not architecture.startswith(HUB):
        found = model_config(architecture).get("embed_dim")
    else:
        beside = Path(os.path.expanduser(file), CONFIG_NAME) if file else None
        found = read_config(beside, "encoder").get("embed_dim") if beside and beside.is_file() else None
    return found if isinstance(found, int) else None


def tower_size(architecture: str) -> float:
    """Weights in the blocks of a ViT's image tower, in millions, to compare sizes; 0 if it is no such ViT.

    A block has 4 width^2 weights in its attention and 2 mlp_ratio width^2 in its MLP.
    """
    if architecture not in _configs(_package()):
        return 0.0
    tower = model_config(architecture).get("vision_cfg", {})
    layers, width = tower.get("layers"), tower.get("width")
    if not isinstance(layers, int) or not isinstance(width, int):
        return 0.0
    return layers * (4 + 2 * float(tower.get("mlp_ratio", 4.0))) * width**2 / 1e6


def pretrained_config(architecture: str, tag: str, where: str = "encoder") -> dict[str, Any]:
    """open_clip's entry of a tag: hf_hub, mean, std, interpolation, resize_mode, quick_gelu.

    Raises RelianceError for an unknown tag and for one whose activation is not the architecture's.
    """
    clean = tag.lower().replace("-", "_")
    plain = architecture.removesuffix("-quickgelu")
    table = _pretrained()
    entry = table.get(architecture, {}).get(clean) or table.get(plain, {}).get(clean)
    if entry is None:
        raise _unknown_tag(architecture, tag, where)
    needs = bool(entry.get("quick_gelu", False))
    if needs != bool(model_config(architecture, where).get("quick_gelu", False)):
        right = f"{plain}-quickgelu" if needs else plain
        raise RelianceError(
            f"{where}.architecture",
            "the activation function must be the one the weights were trained with",
            found=f"{architecture}, but {tag} was trained with {'QuickGELU' if needs else 'GELU'}",
            allowed=right,
            next_step=f"write `architecture: {right}`; the wrong activation runs and gives wrong embeddings",
        )
    return dict(entry)


def check_tokenizer(text: Mapping[str, Any], where: str) -> None:
    """Raise RelianceError unless the tokenizer can be made here, from options that are known.

    text : `text_cfg` of a model config, which may come from the network: its options reach a library
    that runs downloaded code on request (trust_remote_code).
    """
    allowed = HF_OPTIONS if text.get("hf_tokenizer_name") else CLIP_OPTIONS
    unknown = sorted(set(text.get("tokenizer_kwargs") or {}) - set(allowed))
    if unknown:
        raise RelianceError(
            f"{where}: text_cfg.tokenizer_kwargs",
            "a tokenizer is made with options that only change the text",
            found=", ".join(unknown),
            allowed=", ".join(allowed),
            next_step="choose another model, or a local copy of this one whose config is without the option",
        )
    needed = [key for key in ("hf_tokenizer_name", "hf_model_name") if text.get(key)]
    if needed and importlib.util.find_spec("transformers") is None:
        raise RelianceError(
            where,
            "the text tower or tokenizer of this model comes from the package transformers",
            found=f"transformers is not installed, but {needed[0]} is {text[needed[0]]}",
            allowed="an environment with transformers, or a model with CLIP's own tokenizer",
            next_step="pip install transformers (only models like this one need it), or choose another model",
        )


def _check_sources(
    where: str, architecture: str | None, pretrained: str | None, file: str | None, random: bool
) -> None:
    """The combinations of sources that mean something."""
    hub = architecture is not None and architecture.startswith(HUB)
    problem = None
    if random and (pretrained or file or hub or architecture is None):
        problem = "weights: random, and another source or no architecture"
    elif hub and pretrained:
        problem = f"{architecture} and pretrained: {pretrained} (a hub model brings its own weights)"
    elif architecture is None and file is None:
        problem = "no architecture"
    elif not (random or hub or pretrained or file):
        problem = f"{architecture} without weights"
    if problem:
        raise RelianceError(
            where,
            "an encoder has an architecture and one source of weights",
            found=problem,
            allowed="architecture with pretrained, with file, or with weights: random; or hf-hub:owner/name",
            next_step="remove or add the key",
        )
    if file is not None and not os.path.exists(os.path.expanduser(file)):  # which take any text
        raise RelianceError(
            f"{where}.file",
            "a file of weights must exist",
            found=f"{file}: no such file",
            allowed="a folder of open_clip or transformers, or a .safetensors, .bin or .pt file",
            next_step="correct the path, or mount the disk it is on",
        )


def _check_hub_id(name: str, where: str) -> None:
    """Raise RelianceError unless a name could be one of a model on the Hugging Face hub."""
    if not HUB_ID.fullmatch(name) or ".." in name:
        raise RelianceError(
            f"{where}.architecture",
            "a model on the Hugging Face hub is named hf-hub:owner/name",
            found=name,
            allowed="owner and name in letters, digits, '-', '_' and '.', with one '/' between them",
            next_step="copy the name from the model's page",
        )


def _unknown_tag(architecture: str, tag: str, where: str) -> RelianceError:
    table = _pretrained()
    tags = list(table.get(architecture, {}))
    others = [name for name in table if tag.lower().replace("-", "_") in table[name]][:4]
    return RelianceError(
        f"{where}.pretrained",
        f"a pretrained tag is one that open_clip has for {architecture}",
        found=tag,
        allowed=_nearest(tag, tags) if tags else "none: there are no weights for this architecture",
        next_step="correct the tag" + (f" (it exists for {', '.join(others)})" if others else ""),
    )


def _nearest(name: str, known: list[str], limit: int = 6) -> str:
    near = difflib.get_close_matches(name, known, n=limit, cutoff=0.3) or sorted(known)[:limit]
    return f"{', '.join(near)} ({len(known)} in all)" if len(known) > len(near) else ", ".join(near)


@lru_cache
def _configs(package: Path) -> dict[str, Path]:
    """The model configs of an installed package by name, in order."""
    return {path.stem: path for path in sorted((package / "model_configs").glob("*.json"))}


@cache
def _text(path: Path) -> str:
    return path.read_text()


@lru_cache
def _package() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("open_clip_torch is a dependency of reliance and is not installed")
    return Path(spec.origin).parent


@lru_cache
def _pretrained() -> dict[str, dict[str, dict[str, Any]]]:
    """Architecture -> tag -> entry, without importing open_clip where that is possible."""
    try:
        table = _run_assignments(_package() / "pretrained.py", _package() / "constants.py")["_PRETRAINED"]
        if not all(isinstance(tag, dict) for tags in table.values() for tag in tags.values()):
            raise TypeError("_PRETRAINED is not a table of tables")
    except (OSError, SyntaxError, NameError, LookupError, TypeError, AttributeError):
        from reliance.base.openclip import open_clip

        table = open_clip.pretrained._PRETRAINED
    return dict(table)


def _run_assignments(module: Path, constants: Path) -> dict[str, Any]:
    """Names a module defines by plain statements: its imports and try blocks are left out."""
    names: dict[str, Any] = {"copy": copy}
    for path in (constants, module):
        tree = ast.parse(path.read_text())
        wanted = (ast.Assign, ast.AnnAssign, ast.Expr, ast.FunctionDef, ast.For)
        tree.body = [node for node in tree.body if isinstance(node, wanted)]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                node.returns = None
                for argument in node.args.args:
                    argument.annotation = None
        exec(compile(tree, str(path), "exec"), names)
    return names
