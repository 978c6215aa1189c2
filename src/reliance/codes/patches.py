"""Stage `encode_patches`: codes of images at a site with many tokens, made while the model runs.

No token is stored: those of a batch are encoded where they appear, and pooled over each image.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartRange, PartWriter, part_range
from reliance.codes.encode import encoder_for
from reliance.encoders.model import Clip, load_model
from reliance.encoders.sites.block import tokens_behind
from reliance.encoders.sites.patches import grid_of
from reliance.encoders.sites.site import Site
from reliance.encoders.stored import Embeddings
from reliance.encoders.vision import Compute, chunked_batches, passed
from reliance.images.decode import Images, Reading
from reliance.images.tables import read_split
from reliance.units.sae.apply import Applied
from reliance.units.sae.files import check_fits, load_sae
from reliance.units.sae.pooled import Pooling, pooled
from reliance.units.sae.sparse import on_device

WIDER = 4  # times the active latents of a patch: what a pooled code has room for


class Sources(NamedTuple):
    """What codes are made from."""

    index: Path  # type: ignore[assignment]  # instead of the method of tuples
    weights: Path
    embeddings: Path  # manifest of the split at the same site
    sae: Path


class Shape(NamedTuple):
    """How patches become the code of an image."""

    block: int
    pooling: Pooling = "max"
    pooled_width: int | None = None  # latents kept of an image; None: WIDER times those of a patch
    encoder: str | Sequence[str] = "reliance.units.sae.top_k:ENCODER"


class Piece(NamedTuple):
    """Which part of a split."""

    split: str
    part_index: int
    parts: int
    chunk_rows: int = 2048  # between savepoints


def encode_patches(
    sources: Sources,
    shape: Shape,
    *,
    part: Path,
    piece: Piece,
    reading: Reading,
    compute: Compute,
    fingerprint: str = "",
) -> None:
    """Write the codes of one part of a split as `codes.encode.encode_part` does, and `places` beside them.

    places uint16 [n, k] : the patch on which each active latent is strongest.
    Raises RelianceError if artifacts do not belong together, or an activation does not fit float16.
    """
    torch.set_num_threads(compute.threads)
    listed, clip = read_split(sources.index, piece.split), load_model(sources.weights, compute.device)
    arrays, stamp = load_sae(sources.sae)
    split = Embeddings(sources.embeddings)
    check_fits(sources.sae, arrays, stamp, split)
    kinds = [shape.encoder] if isinstance(shape.encoder, str) else shape.encoder
    kind = encoder_for(sources.sae, arrays, kinds)
    width = min(arrays.m, shape.pooled_width or WIDER * arrays.k)
    index_type = "uint16" if arrays.m <= 65535 else "int32"
    params = {"m": arrays.m, "k": width, "activation": arrays.activation, "site": split.site}
    kept = {name: value for name, value in split.stamp.params.items() if name not in ("dtype", "split")}
    writer = PartWriter(
        part,
        "codes",
        part_range(split.rows, piece.parts, piece.part_index),
        {
            "values": Layout((width,), "float16"),
            "indices": Layout((width,), index_type),
            "places": Layout((width,), "uint16"),
        },
        {**params, "pooling": shape.pooling, "grid": list(grid_of(clip)), "images": kept},
        {"sae": stamp.id, "embeddings": split.stamp.id, "index": split.stamp.inputs["index"]},
        fingerprint=f"{fingerprint} batch_size={compute.batch_size}",
        chunk_rows=piece.chunk_rows,
    )
    applied = Applied(kind, on_device(arrays.arrays, str(clip.device)), arrays.k, arrays.input_norm)
    todo = np.arange(writer.next_row, writer.rows.stop)
    columns = (column[todo].tolist() for column in (listed.paths, listed.sizes, listed.places))
    paths, sizes, places = columns
    images = Images(paths, reading, clip.weights.preprocess, sizes, places)
    batches = chunked_batches((todo - writer.rows.start).tolist(), piece.chunk_rows, compute.batch_size)
    site = pooling_site(clip, split.site, shape, applied, width)
    with passed(clip, [site], images, batches, compute, writer.rows.stop) as found:
        while writer.next_row < writer.rows.stop:
            rows = PartRange(writer.next_row, min(writer.next_row + piece.chunk_rows, writer.rows.stop))
            made: list[np.ndarray] = []
            while sum(map(len, made)) < rows.stop - rows.start:
                made.append(next(found)[1][0][0])
            _append(writer, np.concatenate(made), split.read("valid", *rows), sources.embeddings)
        next(found, None)  # which tells the last progress
    writer.finish()


def pooling_site(clip: Clip, name: str, shape: Shape, sae: Applied, width: int) -> Site:
    """The site as a forward pass that appends pooled codes: values, indices and places, float32 [n, 3 k]."""

    def keep(tokens: torch.Tensor) -> torch.Tensor:
        code = pooled(tokens[:, 1:].float(), sae, width, shape.pooling)
        return torch.cat([part.float() for part in code], 1)  # below 2^24, integers are exact

    def catch(clip: Clip, into: list[torch.Tensor]) -> AbstractContextManager[None]:
        return tokens_behind(clip, shape.block, keep, into)

    return Site(name, "x", lambda clip: 3 * width, catch, None)


def _append(writer: PartWriter, rows: np.ndarray, valid: np.ndarray, embeddings: Path) -> None:
    first = writer.next_row
    values, indices, places = np.split(rows, 3, axis=1)
    with np.errstate(over="ignore"):
        values = values.astype(np.float16)
    silent = ~valid[:, None] | (values == 0)
    values[silent], indices[silent], places[silent] = 0, 0, 0
    if not np.isfinite(values).all():
        raise RelianceError(
            embeddings,
            "activations are finite and fit float16",
            found=f"row {first + int((~np.isfinite(values)).any(1).argmax())} does not",
            allowed="at most 65504",
            next_step="the embeddings or the SAE are broken: look at sae/quality.json",
        )
    types = {name: layout.dtype for name, layout in writer.layouts.items()}
    arrays = {"values": values, "indices": indices, "places": places}
    unreadable = [(first + int(i), "unreadable image") for i in np.flatnonzero(~valid)]
    writer.append({name: array.astype(types[name]) for name, array in arrays.items()}, unreadable)
