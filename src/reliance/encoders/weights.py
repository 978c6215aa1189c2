"""Stage `resolve_weights`: from a config entry to a file of weights that is known to fit.

The result, weights.json, holds everything a model is built from (see model.Weights). Whatever
cannot be had ends in an error; no other weights are ever used instead.
"""

import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from reliance.base.artifacts import derived_stamp, hash_file, write_json
from reliance.base.errors import RelianceError
from reliance.base.telling import tell
from reliance.encoders import hugging_face
from reliance.encoders.families.family import Family, check_parts, family_of, needed
from reliance.encoders.fetch import CONFIG_NAME, WEIGHTS_NAMES, FetchError, hub_file, weights_names
from reliance.encoders.local import (
    HUB,
    check_prepared,
    check_range,
    config_beside,
    contradictions,
    no_architecture,
    own_metadata,
    unreadable,
    weights_file,
    with_activation,
)
from reliance.encoders.model import (
    KIND,
    READ_ERRORS,
    SCHEMA,
    USUAL,
    Weights,
    build,
    fitting_state,
)
from reliance.encoders.registry import (
    PREPROCESS_KEYS,
    architectures,
    check_encoder,
    check_tokenizer,
    model_config,
    pretrained_config,
)

log = logging.getLogger(__name__)


class Source(NamedTuple):
    """Where a model comes from, before its file is checked."""

    architecture: str
    config: dict[str, Any]  # open_clip model config
    preprocess: dict[str, Any] | None  # what the source says about image preprocessing, if anything
    path: Path | None  # None: random weights
    decided: bool = True  # whether it says which activation function the weights were trained with
    beside: tuple[Path, dict[str, Any]] | None = None  # a config beside the file, and its preprocessing


def resolve_weights(
    *,
    weights: Path,
    encoder: str,
    architecture: str | None = None,
    pretrained: str | None = None,
    file: str | None = None,
    random: bool = False,
    seed: int = 0,
    preprocess: Mapping[str, Any] | None = None,
    role: str = "encoder",
    needs: Collection[str] | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Find, fetch and check the weights of an encoder.

    weights : output, weights.json; its id covers the config, the preprocessing and the weights, and the
        places of parts where they are unusual.
    encoder : its name in the config.
    architecture, pretrained, file, random, preprocess, role, needs : its entry, see registry.check_encoder.
        With `file` and `pretrained` the file is a local copy of the tag's weights. A safetensors
        file may bring "architecture" and "preprocess" as JSON metadata, and a downloaded hub folder
        its open_clip_config.json; then `architecture` may be left out.
    seed : of random weights.
    checkpoint : input, a checkpoint that this pipeline trained; takes the place of `file`.
    Raises RelianceError if the entry is wrong or the weights cannot be had or do not fit.
    """
    file = str(checkpoint) if checkpoint else os.path.expanduser(file) if file else None
    check_encoder(architecture, pretrained, file, random, preprocess, encoder=encoder, role=role, needs=needs)
    source = _find(encoder, architecture, pretrained, file, random)
    where = f"encoders.{encoder}"
    needs = needed(role) if needs is None else needs
    check_parts(source.config, needs, f"{where}.architecture", source.architecture)
    check_tokenizer(source.config["text_cfg"], where)
    record = Weights(
        encoder=encoder,
        role=role,
        architecture=source.architecture,
        config=source.config,
        preprocess=full_preprocess(source, preprocess, where),
        quick_gelu=bool(source.config.get("quick_gelu", False)),
        random=random,
        seed=seed if random else 0,
        path=str(source.path or ""),
        sha256=hash_file(source.path) if source.path else "",
        pretrained=pretrained or "",
    )
    family = _fitting(record, needs)
    record = record._replace(family=family.name, parts=dict(family.parts))
    if source.path and not source.decided:
        _say_twin(source.architecture, record.quick_gelu, where)
    unusual = ("parts",) if record.parts not in ({}, USUAL) else ()
    covered = ("config", "preprocess", "random", "seed", "sha256", *unusual)
    content = {name: getattr(record, name) for name in covered}
    write_json(weights, record._asdict(), derived_stamp(KIND, SCHEMA, content, {}))
    log.info("%s: %s, %s", encoder, record.architecture, record.path or f"random weights, seed {seed}")


def full_preprocess(source: Source, explicit: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """size, mean, std, interpolation, resize_mode, fill_color; explicit values win over the source's.

    Raises RelianceError if neither the source nor the config says what the mean and std are.
    """
    chosen = {k: v for k, v in (explicit or {}).items() if v is not None}
    if source.beside:
        _agree(source.beside[0], contradictions(source.beside[1], chosen), f"{where}.preprocess")
    given = {**(source.preprocess or {}), **chosen}
    size = _one_if_square(source.config["vision_cfg"].get("image_size", 224))
    if _one_if_square(chosen.get("size", size)) != size:
        raise RelianceError(
            f"{where}.preprocess.size",
            "images are resized to the size that the architecture takes",
            found=chosen["size"],
            allowed=str(size),
            next_step="remove `size`, or choose the architecture for that size",
        )
    check_prepared(given, where)
    check_range(where, given["mean"], given["std"])
    return {
        "size": size,
        "mean": [float(v) for v in given["mean"]],
        "std": [float(v) for v in given["std"]],
        "interpolation": str(given.get("interpolation", "bicubic")),
        "resize_mode": str(given.get("resize_mode", "shortest")),
        "fill_color": int(given.get("fill_color", 0)),
    }


def _say_twin(architecture: str, quick: bool, where: str) -> None:
    """Tell that an architecture has a twin with another activation function, which nothing rules out."""
    twin = architecture.removesuffix("-quickgelu") if quick else f"{architecture}-quickgelu"
    if twin in architectures():
        one, other = ("QuickGELU", "GELU") if quick else ("GELU", "QuickGELU")
        said = (
            f"{where}: {architecture} computes with {one}. Weights trained with {other} load all the same "
            f"and give wrong embeddings (OpenAI's, and what was fine-tuned from them, are QuickGELU)"
        )
        tell(log, "%s: if these are, write architecture: %s", said, twin)


def _one_if_square(size: int | Sequence[int]) -> int | list[int]:
    """An image size as open_clip's configs write it: one number, or [height, width]."""
    if isinstance(size, int):
        return size
    return int(size[0]) if len(set(size)) == 1 else [int(v) for v in size]


def _find(
    encoder: str, architecture: str | None, pretrained: str | None, file: str | None, random: bool
) -> Source:
    where = f"encoders.{encoder}"
    named = architecture and pretrained
    entry = pretrained_config(str(architecture), str(pretrained), where) if named else None
    if file is not None:
        return _from_file(Path(file), architecture, entry, where)
    if architecture is None:
        raise ValueError("check_encoder lets no entry without architecture and file pass")
    if random:
        return Source(architecture, model_config(architecture, where), _openai_preprocess(), None)
    if architecture.startswith(HUB):
        return _from_hub(encoder, architecture)
    if entry is None:
        raise ValueError("check_encoder lets no entry without weights pass")
    repository, names = weights_names(entry["hf_hub"])
    path = _fetch(encoder, repository, names)
    return Source(architecture, model_config(architecture, where), entry, path)


def _from_hub(encoder: str, architecture: str) -> Source:
    repository = architecture.removeprefix(HUB)
    path = _fetch(encoder, repository, (CONFIG_NAME,))
    config, said = _read_hub_config(path, f"encoders.{encoder}")
    given = {**_openai_preprocess(), **said}
    return Source(architecture, config, given, _fetch(encoder, repository, WEIGHTS_NAMES))


def _from_file(path: Path, architecture: str | None, entry: dict[str, Any] | None, where: str) -> Source:
    """A local file: its config from the architecture, its own metadata, or the config beside it."""
    path = weights_file(path, where)
    own = own_metadata(path, where)
    beside = config_beside(path, own, architecture)
    if beside:
        return _described(path, beside, architecture, entry, where)
    preprocess = {**(entry or {}), **own.get("preprocess", {})}
    if "architecture" in own:
        if (
            architecture
            and not architecture.startswith(HUB)
            and model_config(architecture) != own["architecture"]
        ):
            raise _contradiction(path, architecture, where)
        return Source(architecture or "from-file", own["architecture"], preprocess, path)
    if architecture is None or architecture.startswith(HUB):
        raise no_architecture(path, where)
    return Source(architecture, model_config(architecture, where), preprocess, path, entry is not None)


def _described(
    path: Path, beside: Path, architecture: str | None, entry: dict[str, Any] | None, where: str
) -> Source:
    """A local file with a config beside it, which architecture and tag must not contradict."""
    config, said = _read_hub_config(beside, where)
    if architecture and not architecture.startswith(HUB):
        wanted = with_activation(model_config(architecture, where))
        differing = contradictions(with_activation(config), wanted)
        _agree(beside, differing, f"{where}.architecture: {architecture}")
    tag = {key: value for key, value in (entry or {}).items() if key in PREPROCESS_KEYS}
    _agree(beside, contradictions(said, tag), f"{where}.pretrained")
    given = {**_openai_preprocess(), **tag, **said}
    return Source(architecture or "from-file", config, given, path, beside=(beside, said))


def _agree(beside: Path, differing: list[tuple[str, Any, Any]], where: str) -> None:
    """Raise RelianceError if what stands beside the weights says something else than the entry."""
    if differing:
        key, here, there = differing[0]
        raise RelianceError(
            where,
            "what is said about weights does not contradict the config that lies beside them",
            found=f"{key} is {there} there, and {here} in {beside} ({len(differing)} keys differ)",
            allowed="one value, the one that the weights were trained with",
            next_step=f"remove the key, so that {CONFIG_NAME} counts; or move that file away",
        )


def _fetch(encoder: str, repository: str, names: tuple[str, ...]) -> Path:
    try:
        return hub_file(repository, names)
    except FetchError as error:
        raise RelianceError(
            f"encoders.{encoder}",
            "the weights of an encoder are in the local cache or can be downloaded",
            found=f"{names[0]} of huggingface.co/{repository}: {error}",
            allowed="a network connection once, or a local copy",
            next_step=f"without network, name a local copy: encoders.{encoder}.file: PATH (keep architecture "
            "and pretrained), or another CLIP: a labeller can be any, also the encoder itself",
        ) from error


def _read_hub_config(path: Path, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        if path.name == hugging_face.CONFIG_NAME:
            return hugging_face.read_config(path, where)
        record = json.loads(path.read_text())
        return dict(record.get("model_cfg", record)), dict(record.get("preprocess_cfg", {}))
    except READ_ERRORS as error:
        raise unreadable(path, where, error) from error


def _openai_preprocess() -> dict[str, Any]:
    """open_clip's default preprocessing."""
    from reliance.base.openclip import open_clip

    default = open_clip.transform.PreprocessCfg()
    return {"mean": default.mean, "std": default.std}


def _fitting(record: Weights, needs: Collection[str]) -> Family:
    """Build the model without memory and compare names and shapes with the file's; gives its family."""
    with torch.device("meta"):
        model = build(record.config)
    check_parts(record.config, needs, f"encoders.{record.encoder}", record.architecture, model)
    if not record.random:
        fitting_state(model, record.path, record.encoder, device="meta")
    return family_of(record.config, model)


def _contradiction(path: Path, architecture: str, where: str) -> RelianceError:
    return RelianceError(
        f"{where}.architecture",
        "a file of weights that names its own architecture is used with that one",
        found=f"{architecture}, and another one in {path}",
        allowed="the file's own architecture",
        next_step="remove `architecture`",
    )
