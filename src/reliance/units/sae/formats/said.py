"""What a file says of the model and of where in it x is read, held against a variant's encoder.

Widths agree by chance: models of one size share them, and so do all blocks of a model. What contradicts
the encoder is refused. What names leave open is told, for explained variance to judge.
"""

import re
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.config.sites import DEFAULT, SITES, block_of, kind_of
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
_TOKENS = (DEFAULT, "block")  # kinds of sites where class tokens are read
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
        if foreign.weights == encoder.weights and _same(foreign.site, encoder):
            return []
        found = f"weights {foreign.weights[:12]} at site {foreign.site}"
        return _contradicted(path, found, f"weights {encoder.weights[:12]} at site {encoder.site}", trusted)
    wrong = _other_model(foreign.model, encoder.name) or _other_site(foreign.site, encoder)
    if wrong:
        return _contradicted(path, *wrong, trusted)
    width = len(foreign.bias)
    silent = [what for what, said in (("its model", foreign.model), ("its site", foreign.site)) if not said]
    notes = [OPEN.format(what=" and ".join(silent), width=width)] if silent else []
    if foreign.model and not _SIZE.search(foreign.model.lower()):
        notes.append(
            f"its file says that its model is {foreign.model}: make sure that {encoder.name} is that model"
        )
    ours = foreign.site.endswith(".cls") or kind_of(foreign.site) in _TOKENS
    if foreign.site and kind_of(encoder.site) in _TOKENS and not ours:
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
    """(found, allowed) if a hook's name, or a site's, is not that of the site."""
    hook, allowed = _BLOCK.search(said), f"site {encoder.site}"
    if hook is None:
        known = said in SITES or block_of(said) is not None
        return (f"the site {said}", allowed) if known and not _same(said, encoder) else None
    behind = _block(encoder.site, encoder.layers)
    if encoder.site == DEFAULT:
        allowed = f"the output of the last block{f', {behind}' if encoder.layers else ''}"
    inside = any(part in said[hook.end() :] for part in _INSIDE)
    if behind is None or inside or _differ(int(hook[1]), behind, encoder.layers):
        return f"the site {said}", allowed
    return None


def _same(said: str, encoder: Encoder) -> bool:
    """Whether the name of a site of ours is that of the encoder's, however its block is counted."""
    there, here = (_block(site, encoder.layers) for site in (said, encoder.site))
    if there is None or here is None or "patches" in (kind_of(said), kind_of(encoder.site)):
        return said == encoder.site
    return said == encoder.site or (bool(encoder.layers) and there == here)


def _block(site: str, layers: int) -> int | None:
    """The block behind which a site is, from 0 if the encoder's number of blocks is known."""
    block = -1 if site == DEFAULT else block_of(site)
    return block + layers if block is not None and block < 0 else block


def _differ(one: int, other: int, layers: int) -> bool:
    """Whether two blocks are different ones; without the number of blocks, only if both count one way."""
    return one != other and (bool(layers) or (one < 0) == (other < 0))


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
