"""Stage `encode_part`: the sparse code of every image of one part of a split (a of Eq. 1)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from reliance.base.device import choose_device
from reliance.base.entry import imported
from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartWriter, part_range
from reliance.base.telling import advance, tell
from reliance.encoders.stored import Embeddings
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import Sae, check_fits, load_sae
from reliance.units.sae.sparse import Encoder, on_device

log = logging.getLogger(__name__)
_ELEMENTS = {"cpu": 1 << 25, "cuda": 1 << 28}  # pre-activations held at a time


def encode_part(
    *,
    embeddings: Path,
    sae: Path,
    part: Path,
    part_index: int,
    parts: int,
    encoder: str | Sequence[str] = "reliance.units.sae.top_k:ENCODER",
    block_rows: int = 16384,
    device: str = "auto",
    threads: int = 2,
    fingerprint: str = "",
) -> None:
    """Encode rows [iN/K, (i+1)N/K) of a split into `part`, `block_rows` rows between savepoints.

    `encoder` is the entry point of how SAEs of this kind are applied; of several, that which the file asks
    for.
    Stores values float16 [k] and indices uint16 [k] (int32 if m > 65,535), ordered by value
    descending, index ascending, before rounding. An unreadable image has an all-zero code
    and is listed as excluded.
    Raises RelianceError if the SAE is for another encoder or site, or of another kind, or an activation does
    not fit float16.
    """
    torch.set_num_threads(threads)
    device = choose_device(device)
    arrays, stamp = load_sae(sae)
    split = Embeddings(embeddings)
    check_fits(sae, arrays, stamp, split)
    kind = encoder_for(sae, arrays, [encoder] if isinstance(encoder, str) else encoder)
    index_type = "uint16" if arrays.m <= 65535 else "int32"
    writer = PartWriter(
        part,
        "codes",
        part_range(split.rows, parts, part_index),
        {"values": Layout((arrays.k,), "float16"), "indices": Layout((arrays.k,), index_type)},
        {
            "m": arrays.m,
            "k": arrays.k,
            "activation": arrays.activation,
            "block_rows": block_rows,
            "site": split.site,
        },
        {"sae": stamp.id, "embeddings": split.stamp.id, "index": split.stamp.inputs["index"]},
        fingerprint=fingerprint,
        chunk_rows=block_rows,
    )
    applied = Applied(kind, on_device(arrays.arrays, device), arrays.k, arrays.input_norm)
    full = 0
    while writer.next_row < writer.rows.stop:
        start, stop = writer.next_row, min(writer.next_row + block_rows, writer.rows.stop)
        x, valid = split.read("x", start, stop), split.read("valid", start, stop)
        values, indices = encode_rows(x, applied)
        values[~valid], indices[~valid] = 0, 0
        full += int((values[:, -1] != 0).sum())
        if not np.isfinite(values).all():
            raise RelianceError(
                embeddings,
                "activations are finite and fit float16",
                found=f"row {start + int((~np.isfinite(values)).any(1).argmax())} does not",
                allowed="at most 65504",
                next_step="the embeddings or the SAE are broken: look at sae/quality.json",
            )
        unreadable = [(start + int(i), "unreadable image") for i in np.flatnonzero(~valid)]
        advance(stop, writer.rows.stop, "images")
        writer.append({"values": values, "indices": indices.astype(index_type)}, unreadable)
    writer.finish()
    if arrays.threshold is not None and full:
        tell(
            log,
            "%d images have %d active latents or more; the strongest %d are kept: raise sae.max_active",
            full, arrays.k, arrays.k,
        )  # fmt: skip


@torch.no_grad()
def encode_rows(x: np.ndarray, sae: Applied) -> tuple[np.ndarray, np.ndarray]:
    """Codes of x [n, d] as stored: values float16 [n, k], indices int64 [n, k].

    An activation that rounds to zero is padding: value 0, index 0.
    """
    bias = sae.parameters.bias
    step = max(1, _ELEMENTS[bias.device.type] // len(sae.parameters.encoder_bias))
    values = np.empty((len(x), sae.k), np.float16)
    indices = np.empty((len(x), sae.k), np.int64)
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        found = sae.encode(torch.from_numpy(x[rows]).to(bias))
        values[rows] = found.values.half().cpu().numpy()
        indices[rows] = found.indices.cpu().numpy()
    indices[values == 0] = 0
    return values, indices


def encoder_for(path: Path, sae: Sae, entries: Sequence[str]) -> Encoder:
    """What an entry point names, if the SAE is to be applied so. Raises RelianceError if none is so."""
    encoders: list[Encoder] = [imported(entry) for entry in entries]
    for encoder in encoders:
        if sae.activation == encoder.activation:
            return encoder
    named = zip(encoders, entries, strict=True)
    raise RelianceError(
        path,
        "an SAE is applied as it was trained",
        found=f"activation {sae.activation}",
        allowed=", ".join(f"{encoder.activation}, of {entry}" for encoder, entry in named),
        next_step="it is of another kind: correct sae.kind, or make the SAE again",
    )
