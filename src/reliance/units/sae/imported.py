"""SAEs that others trained: read, checked against the encoder, measured on the data, stored as ours.

No training happens. Whether an SAE fits is seen in what it reconstructs: its explained variance on the
variant's own images is told at once.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from reliance.base.artifacts import check_same, derived_stamp, hash_file, write_json
from reliance.base.device import choose_device
from reliance.base.entry import imported
from reliance.base.errors import RelianceError
from reliance.base.telling import tell
from reliance.encoders.model import read_weights
from reliance.encoders.stored import Embeddings, check_site
from reliance.units.sae.activations import ENCODERS
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA, Sae, readable_blocks, save_sae
from reliance.units.sae.formats.canonical import JUMP, RefusedError, canonical, refusal
from reliance.units.sae.formats.said import Encoder, check_said
from reliance.units.sae.formats.table import Found, read_foreign
from reliance.units.sae.quality import measure_quality
from reliance.units.sae.sparse import on_device
from reliance.units.sae.threshold import active_counts

_ROWS = 1024  # reconstructed at a time
_COUNTED = 4096  # images on which active latents are counted, to know how wide a code is
_ROOM = 1.25  # of the most active latents found there
_WIDEST = 1024  # codes of more are asked for by name only
_POOR = 0.5  # explained variance below which something is likely to be wrong

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """What the section sae of the variant says."""

    format: str = "auto"
    k: int | None = None  # of formats that do not hold it
    max_active: int | None = None  # most latents stored per image, of kinds without k; None: as found
    trust: bool = False  # whether an SAE that says it is of another model or site is applied all the same


def import_sae(
    *,
    files: Sequence[Path],
    weights: Path,
    embeddings: Sequence[Path],
    held_out: Path,
    sae: Path,
    quality: Path,
    asked: Asked = Asked(),  # noqa: B008
    device: str = "auto",
    threads: int = 2,
) -> None:
    """Store an SAE that others trained as one of this variant, and measure it.

    files : of the SAE, see `source.files_of`. weights : of the encoder. embeddings : the images that an SAE
    would learn from; widths of codes and means of normalised x are taken from them. held_out : for explained
    variance. Raises RelianceError if the file is in no known format, cannot be held, or is of another model,
    site or width.
    """
    torch.set_num_threads(threads)
    device = choose_device(device)
    found = read_foreign(list(files), asked.format, asked.k)
    first, held = Embeddings(embeddings[0]), Embeddings(held_out)
    stamps = [parts.stamp.inputs["weights"] for parts in (first, held)]
    check_same("encoder weights", (held.path, stamps[1]), (first.path, stamps[0]))
    check_site(held.path, held.site, first)
    _check_width(found, first)
    notes = [
        *found.foreign.notes,
        *check_said(found.path, found.foreign, _encoder(weights, first), asked.trust),
    ]
    for note in notes:
        tell(log, "%s: %s", found.path, note)
    rows = _sample(first)
    arrays = _fitted(found, asked, rows, device)
    params = {
        "kind": "imported",
        "format": found.format,
        "source": {path.name: hash_file(path) for path in files},
        "model": found.foreign.model,
        "said_site": found.foreign.site,
        "site": first.site,
    }
    inputs = {"encoder": stamps[0]}
    stamp = save_sae(sae, arrays, params, inputs)
    measured = _measure(arrays, held, device)
    measured |= {"data": "held_out", "notes": notes}
    _say(found.path, measured, held)
    inputs = {"sae": stamp.id, "held_out": held.stamp.id}
    write_json(quality, measured, derived_stamp(QUALITY_KIND, QUALITY_SCHEMA, {}, inputs))


def applied(sae: Sae, device: str) -> Applied:
    """An SAE of any kind, ready for use."""
    encoder = imported(ENCODERS[sae.activation])
    return Applied(encoder, on_device(sae.arrays, device), sae.k, sae.input_norm)


def _encoder(weights: Path, embeddings: Embeddings) -> Encoder:
    """The encoder as names have it."""
    record, stamp = read_weights(weights)
    check_same("encoder weights", (weights, stamp.id), (embeddings.path, embeddings.stamp.inputs["weights"]))
    vision = record.config.get("vision_cfg", {})
    layers = vision.get("layers", 0)
    name = " ".join(filter(None, [record.architecture, record.path]))
    return Encoder(stamp.id, name, layers if isinstance(layers, int) else 0, embeddings.site)


def _check_width(found: Found, embeddings: Embeddings) -> None:
    width, d = embeddings.layouts["x"].shape[0], len(found.foreign.bias)
    if width != d:
        raise RelianceError(
            found.path,
            "an SAE that is imported has the width of what it is applied to",
            found=f"d = {d}",
            allowed=f"d = {width}, that of {embeddings.path}",
            next_step="it is of another model or site: choose the encoder and site of the variant to fit",
        )


def _sample(embeddings: Embeddings) -> torch.Tensor:
    """Some readable images, evenly spaced, float32 [n, d]."""
    chosen = np.unique(np.linspace(0, embeddings.rows - 1, min(_COUNTED, embeddings.rows)).astype(np.int64))
    return torch.from_numpy(embeddings.learned_of(chosen).astype(np.float32))


@torch.no_grad()
def _fitted(found: Found, asked: Asked, rows: torch.Tensor, device: str) -> Sae:
    """The SAE in our form: codes as wide as the data needs, means of normalised x."""
    try:
        sae = canonical(found.foreign, width=asked.max_active or _WIDEST)
    except RefusedError as error:
        raise refusal(found.path, found.format, error) from error
    if sae.input_norm is not None:
        scale, shift = (s.mean().item() for s in sae.input_norm.statistics(rows))
        sae = sae._replace(input_norm=sae.input_norm._replace(mean_scale=scale, mean_shift=shift))
    if sae.activation != JUMP or asked.max_active:
        return sae
    most = max((int(counts.max()) for counts in _counts(sae, rows, device)), default=0)
    width = min(sae.m, -(-int(max(most, 1) * _ROOM) // 8) * 8)
    if width > _WIDEST:
        raise RelianceError(
            found.path,
            "codes are sparse",
            found=f"{most} of {sae.m} latents are active on an image",
            allowed=f"at most {_WIDEST} unless max_active says more",
            next_step="it may be of another model or site; or write max_active: N beside import, and the "
            "strongest N of each image are kept",
        )
    return sae._replace(k=width)


def _counts(sae: Sae, rows: torch.Tensor, device: str) -> Any:
    parameters = on_device(sae.arrays, device)
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS].to(device)
        if sae.input_norm is not None:
            scale, shift = sae.input_norm.statistics(block)
            block = (block - shift) / scale
        yield active_counts(block, parameters)


def _measure(sae: Sae, held: Embeddings, device: str) -> dict[str, Any]:
    blocks = (torch.from_numpy(x) for x in readable_blocks(held, _ROWS))
    try:
        return measure_quality(applied(sae, device), blocks)
    except ValueError as error:
        raise RelianceError(
            held.path,
            "an SAE is evaluated on at least two different images",
            found=error,
            allowed="a split with readable images",
            next_step="give a split with more images",
        ) from error


def _say(path: Path, measured: dict[str, Any], held: Embeddings) -> None:
    """Tell how well it reconstructs; and what to think of it if that is poor."""
    explained = measured["explained_variance"]
    tell(
        log,
        "%s explains %.1f %% of the variance of %d images (%s), with %.1f active latents each",
        path, 100 * explained, measured["n"], held.path, measured["l0"],
    )  # fmt: skip
    if explained < _POOR:
        what = "less than their mean would" if explained < 0 else "little"
        tell(
            log,
            "%s: that is %s. It is likely of another model, site or normalisation of x, or learned from "
            "other tokens; nothing that follows is then about this model",
            path, what,
        )  # fmt: skip
