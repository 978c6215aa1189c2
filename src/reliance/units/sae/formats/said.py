"""What a file says of the model and of where in it x is read, held against a variant's encoder.

Widths agree by chance: models of one size share them, and so do all blocks of a model. What contradicts
the encoder is refused. What names leave open is told, for explained variance to judge.
"""

import re
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.config.sites import SITES
from reliance.units.sae.formats.canonical import Foreign

_SIZE = re.compile(r"vit[-_ /]*(bigg|ti|so400m|[bslhge])[-_ /]*(?:patch)?[-_ /]*(\d+)")
_TRAINED = (
    "openai",
    "laion2b",
    "laion400m",
    "datacomp",
    "commonpool",
    "dfn",
    "metaclip",
    "webli",
    "siglip",
    "dino",
)
_BLOCK = re.compile(r"(?:blocks|resblocks|layers?|h)\.(\d+)")
_INSIDE = ("attn", "mlp", "hook_z", "hook_q", "hook_k", "hook_v", "resid_pre", "resid_mid", "ln_")
OPEN = "its file does not say {what}: only the width, {width}, agrees"


class Encoder(NamedTuple):
    """The encoder of a variant, and where it is read."""

    weights: str  # id
    name: str  # architecture, tag and path, as far as they are known
    layers: int  # blocks; 0: unknown
    site: str


def check_said(path: Path, foreign: Foreign, encoder: Encoder, trusted: bool = False) -> list[str]:
    """What names leave open, one sentence each. `trusted`: a contradiction is told, not refused.

    Raises RelianceError if the file says that its SAE is of another model or site.
    """
    if foreign.weights:
        if foreign.weights == encoder.weights and foreign.site == encoder.site:
            return []
        found = f"weights {foreign.weights[:12]} at site {foreign.site}"
        return _contradicted(path, found, f"weights {encoder.weights[:12]} at site {encoder.site}", trusted)
    wrong = _other_model(foreign.model, encoder.name) or _other_site(foreign.site, encoder)
    if wrong:
        return _contradicted(path, *wrong, trusted)
    width = len(foreign.bias)
    silent = [what for what, said in (("its model", foreign.model), ("its site", foreign.site)) if not said]
    notes = [OPEN.format(what=" and ".join(silent), width=width)] if silent else []
    if foreign.model and not _SIZE.search(foreign.model):
        notes.append(
            f"its file says that its model is {foreign.model}: make sure that {encoder.name} is that model"
        )
    if foreign.site and encoder.site == "class_token" and not foreign.site.endswith((".cls", encoder.site)):
        notes.append(f"its file says {foreign.site}, without saying that it learned from class tokens only")
    return notes


def _other_model(said: str, ours: str) -> tuple[str, str] | None:
    """(found, allowed) if two names cannot be those of one model."""
    here, there = _SIZE.search(ours.lower()), _SIZE.search(said.lower())
    if here and there and here.group(1, 2) != there.group(1, 2):
        return f"the model {said}", f"{here[0]}, the architecture of the encoder"
    trained = [{t for t in _TRAINED if t in _plain(name)} for name in (said, ours)]
    if all(trained) and not trained[0] & trained[1]:
        return f"the model {said}", f"weights from {', '.join(sorted(trained[1]))}"
    return None


def _other_site(said: str, encoder: Encoder) -> tuple[str, str] | None:
    """(found, allowed) if a hook's name is not that of the site."""
    block = _BLOCK.search(said)
    if said in SITES and said != encoder.site:
        return f"the site {said}", f"site {encoder.site}"
    if not block:
        return None
    allowed = f"site {encoder.site}"
    if encoder.site == "class_token":
        allowed = (
            f"the output of the last block, {encoder.layers - 1}" if encoder.layers else "the last block"
        )
        if any(part in said[block.end() :] for part in _INSIDE):
            return f"the site {said}", allowed
        if encoder.layers and int(block[1]) != encoder.layers - 1:
            return f"the site {said}", allowed
        return None
    return (f"the site {said}", allowed) if encoder.site == "embedding" else None


def _contradicted(path: Path, found: str, allowed: str, trusted: bool) -> list[str]:
    if trusted:
        return [f"its file says {found}, but it is applied to {allowed}, as sae.trust asks for"]
    raise RelianceError(
        path,
        "an SAE is applied to the model and site that it learned from",
        found=found,
        allowed=allowed,
        next_step="choose the encoder and site of the variant to fit; "
        "if the file is wrong about itself, write trust: true beside import",
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
