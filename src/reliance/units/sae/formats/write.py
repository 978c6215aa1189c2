"""Our SAEs in the formats of others. What a format cannot say is refused, with the reason."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from reliance.base.artifacts import STAMP_KEY, Stamp
from reliance.base.errors import RelianceError
from reliance.base.writing import atomic
from reliance.config.sites import DEFAULT, block_of, kind_of
from reliance.units.sae.files import Sae
from reliance.units.sae.formats.canonical import JUMP, SIGNED, TOP_K
from reliance.units.sae.input_norm import CONSTANT_NORM, LAYER_NORM

log = logging.getLogger(__name__)


class Origin(NamedTuple):
    """What an SAE is of."""

    stamp: Stamp
    model: str  # as open_clip calls it
    layers: int  # blocks of the encoder; 0: unknown

    @property
    def hook(self) -> str:
        """Where x is read, as hooks are called."""
        site = str(self.stamp.params.get("site", "class_token"))
        block = -1 if site == DEFAULT else block_of(site)
        if block is None or (block < 0 and not self.layers):
            return site
        token = "" if kind_of(site) == "patches" else ".cls"
        return f"visual.transformer.resblocks.{block + self.layers if block < 0 else block}{token}"


def export_sae(sae: Sae, origin: Origin, name: str, folder: Path) -> list[Path]:
    """Write an SAE into a folder in a format of `WRITERS`; the files.

    Raises RelianceError if the format is unknown, or cannot hold this SAE.
    """
    if name not in WRITERS:
        raise _refused(name, "an SAE is exported in a format that is known", name, ", ".join(WRITERS))
    folder = folder.absolute()
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise RelianceError(
            f"--to {folder}",
            "an SAE is exported to a folder of its own",
            found="a link" if folder.is_symlink() else "a folder with files" if folder.is_dir() else "a file",
            allowed="a folder that there is not, or an empty one",
            next_step="name another folder, or empty this one: nothing of it was touched",
        )
    with atomic(folder) as temporary:
        temporary.mkdir(parents=True)
        WRITERS[name](sae, origin, temporary)
        names = sorted(path.name for path in temporary.iterdir())
        for file in names:
            (temporary / file).chmod(0o666 & ~_umask())
    return [folder / file for file in names]


def _umask() -> int:
    """The mask of new files, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(sae: Sae, origin: Origin, folder: Path) -> None:
    """Our own arrays by their names, with their stamp: it is known of which encoder they are."""
    shape = {"k": str(sae.k), "activation": sae.activation, "model": origin.model, "site": _site(origin)}
    metadata = {STAMP_KEY: origin.stamp.to_json(), **shape}
    save_file(sae.stored, folder / "sae.safetensors", metadata=metadata)


def _saelens(sae: Sae, origin: Origin, folder: Path) -> None:
    norms: dict[Any, str] = {None: "none", _form(LAYER_NORM): "layer_norm"}
    norms[_form(CONSTANT_NORM)] = "constant_norm_rescale"
    norm = norms.get(_form(sae.input_norm) if sae.input_norm else None)
    architecture = {TOP_K: "topk", JUMP: "jumprelu"}.get(sae.activation)
    if architecture is None or norm is None:
        found = sae.activation if architecture is None else f"{sae.input_norm}"
        raise _refused("saelens", "it has top-k with ReLU, or thresholds", found, "topk or jumprelu")
    tensors = {
        "W_enc": np.ascontiguousarray(sae.encoder_weight.T),
        "b_enc": sae.encoder_bias,
        "W_dec": sae.decoder_weight,
        "b_dec": sae.bias,
        **({} if sae.threshold is None else {"threshold": sae.threshold}),
    }
    config = {
        "architecture": architecture,
        "d_in": sae.d,
        "d_sae": sae.m,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": norm,
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": "6.5.0",  # the first whose layout this is
            "model_name": origin.model,
            "hook_name": origin.hook,
        },
        **({"k": sae.k, "rescale_acts_by_decoder_norm": False} if architecture == "topk" else {}),
    }
    save_file(tensors, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _overcomplete(sae: Sae, origin: Origin, folder: Path) -> None:
    """The SAE of x - b, as it has no bias after its dictionary; b is the `mean` of the configuration."""
    import torch

    if sae.activation == SIGNED or sae.input_norm is not None:
        found = sae.activation if sae.input_norm is None else "a normalised x"
        raise _refused("overcomplete", "it has top-k with ReLU, or thresholds, of x", found, "those")
    state = {
        "dictionary._weights": sae.decoder_weight,
        "dictionary.multiplier": np.zeros((), np.float32),
        "encoder.final_block.0.weight": sae.encoder_weight,
        "encoder.final_block.0.bias": sae.encoder_bias,
    }
    kind = "TopKSAE"
    if sae.threshold is not None:
        kind = "JumpSAE"
        state["thresholds"] = np.log(np.maximum(sae.threshold, np.finfo(np.float32).tiny))
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
    torch.save(tensors, folder / "sae.pt")
    says = {"class": kind, "input_shape": sae.d, "nb_concepts": sae.m, "encoder_module": "linear"}
    says |= {"top_k": sae.k} if kind == "TopKSAE" else {}
    says |= {"model_name": origin.model, "hook_name": origin.hook, "mean": sae.bias.tolist()}
    (folder / "config.json").write_text(json.dumps(says, indent=1) + "\n", encoding="utf-8")
    log.warning("it is the SAE of x - mean, the `mean` of config.json: its dictionary has no bias")


WRITERS: dict[str, Callable[[Sae, Origin, Path], None]] = {
    "saelens": _saelens,
    "overcomplete": _overcomplete,
    "plain": _plain,
}


def _form(norm: Any) -> tuple[bool, int, float]:
    """A normalisation without the means of the data."""
    return bool(norm.centre), int(norm.ddof), round(float(norm.eps), 9)


def _site(origin: Origin) -> str:
    return str(origin.stamp.params.get("site", "class_token"))


def _refused(name: str, rule: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        f"--format {name}",
        rule,
        found=found,
        allowed=allowed,
        next_step="choose another format; plain holds every SAE",
    )
