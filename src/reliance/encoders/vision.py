"""Stage `embed_images`: every image goes through the vision transformer once.

Stored is x, the class token after the last block and before ln_post (an encoder), or the image
embedding itself (a labeller). Decoding runs in worker processes, the model in this one; batches
never cross a chunk of the store, so that a job that was killed ends with the same numbers.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from reliance.base.errors import RelianceError
from reliance.base.rows import Layout, PartWriter, part_range
from reliance.encoders.model import Clip, class_token_tower, load_model
from reliance.images.decode import Images, Pixels, Reading
from reliance.images.tables import read_split

log = logging.getLogger(__name__)
KIND = "embeddings"
LOG_SECONDS = 30.0
AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def embed_images(
    *,
    index: Path,
    weights: Path,
    part: Path,
    split: str,
    dataset_root: str,
    part_index: int,
    parts: int,
    dtype: str = "float16",
    precision: str = "fp32",
    batch_size: int = 64,
    workers: int = 1,
    device: str = "auto",
    threads: int = 1,
    stores: str = "x",
    apply_exif: bool = False,
    max_pixels: int = 200_000_000,
    jpeg_decoding: str = "exact",
    chunk_rows: int = 2048,
    transform: Mapping[str, Any] | None = None,
    fingerprint: str = "",
) -> None:
    """Embed one part of a split; a job that was killed goes on at its last finished chunk.

    index, weights : inputs. part : output folder, rows [iN/K, (i+1)N/K) of the split.
    dataset_root : folder the index's paths are relative to.
    dtype : of the store, "float16" | "float32".
    precision : arithmetic of the model, "fp32" | "bf16" | "fp16" (autocast).
    workers : processes that decode; 0 decodes in this one.
    device : "auto" | "cpu" | "cuda". threads : CPU threads of the model.
    stores : "x" [d] (class token before ln_post) | "embedding" [p] (image embedding, not normalised).
    transform : a change of every image before it is resized, see decode.channel_gain (Eq. 32); None: none.
    jpeg_decoding : "exact" | "reduced" (large JPEGs are decoded at 1/2, 1/4 or 1/8, see decode.SPARE).
    apply_exif, max_pixels : see decode.load_image. fingerprint : of the code, for resuming.
    An unreadable image is a row of zeros with `valid` False, and (image_id, reason) in the part.
    Raises RelianceError for a wrong split, unfit weights, values the store's dtype cannot hold, or
    a file that is gone or may not be read.
    """
    torch.set_num_threads(threads)
    listed = read_split(index, split)
    clip = load_model(weights, device)
    span = part_range(len(listed.paths), parts, part_index)
    reading = Reading(dataset_root, apply_exif, max_pixels, transform, jpeg_decoding)
    params = {"split": split, "stores": stores, "dtype": dtype, "precision": precision}
    changed: dict[str, Any] = {"transform": dict(transform)} if transform else {}
    if jpeg_decoding != "exact":  # so that embeddings from before there was a choice are still the same
        changed["jpeg_decoding"] = jpeg_decoding
    writer = PartWriter(
        part,
        KIND,
        span,
        {stores: Layout((_width(clip, stores),), dtype), "valid": Layout((), "bool")},
        {**params, **changed, "apply_exif": apply_exif, "max_pixels": max_pixels},
        {"index": listed.stamp.id, "weights": clip.stamp.id},
        # sums may round differently in batches of another size
        fingerprint=f"{fingerprint} batch_size={batch_size}",
        chunk_rows=chunk_rows,
    )
    left = slice(writer.next_row, span.stop)
    paths, sizes = listed.paths[left].tolist(), listed.sizes[left].tolist()
    images = Images(paths, reading, clip.weights.preprocess, sizes)
    loader: Any = DataLoader(
        images,  # type: ignore[arg-type]  # anything with __len__ and __getitem__ will do
        batch_sampler=chunked_batches(len(images), chunk_rows, batch_size),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=clip.device.type == "cuda",
    )
    chunk = _Chunk(stores, dtype)
    with embedder(clip, stores, precision) as embed:
        batches = _logged(loader, len(images), writer.next_row)
        for batch, rows in _computed(batches, embed, ahead=int(clip.device.type == "cuda")):
            chunk.add(rows, batch.reasons, weights)
            if chunk.rows == min(chunk_rows, span.stop - writer.next_row):
                writer.append(*chunk.take(writer.next_row))
    writer.finish()


class Batch(NamedTuple):
    """Images as the workers hand them over."""

    pixels: torch.Tensor  # [n, 3, h, w] uint8 (a quarter of the bytes of floats); zeros where unreadable
    reasons: list[str]  # [n], "" where readable
    failure: RelianceError | None = None  # the first file that the disk did not give


def collate(items: Sequence[Pixels]) -> Batch:
    """A batch from single images."""
    pixels = torch.from_numpy(np.stack([item.values for item in items]))
    failure = next((item.failure for item in items if item.failure), None)
    return Batch(pixels.permute(0, 3, 1, 2), [item.reason for item in items], failure)


class Pending(NamedTuple):
    """Rows that may still be on their way from a GPU."""

    rows: torch.Tensor  # float32 [n, d], in the memory of the CPU
    arrived: torch.cuda.Event | None = None

    def wait(self) -> np.ndarray:
        """The rows, once they are there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return np.asarray(self.rows)


def normaliser(
    preprocess: Mapping[str, Any], device: torch.device | str = "cpu"
) -> Callable[[torch.Tensor], torch.Tensor]:
    """ToTensor and Normalize of open_clip's transform, uint8 [n, 3, h, w] to float32 on `device`."""
    mean, std = (torch.tensor(preprocess[name], device=device).view(3, 1, 1) for name in ("mean", "std"))

    def normalise(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.to(device, non_blocking=True).float().div_(255).sub_(mean).div_(std)

    return normalise


def chunked_batches(count: int, chunk_rows: int, batch_size: int) -> list[list[int]]:
    """Rows of every batch: consecutive, at most `batch_size`, none across a multiple of `chunk_rows`."""
    chunks = [range(start, min(start + chunk_rows, count)) for start in range(0, count, chunk_rows)]
    return [list(c[i : i + batch_size]) for c in chunks for i in range(0, len(c), batch_size)]


@contextmanager
def embedder(clip: Clip, stores: str, precision: str = "fp32") -> Iterator[Callable[[torch.Tensor], Pending]]:
    """A function from uint8 pixels [n, 3, h, w] to rows [n, d] (stores "x") or [n, p] ("embedding").

    On a GPU it returns before the rows are computed, so that the next batch can follow at once.
    """
    tokens: list[torch.Tensor] = []
    kind = AUTOCAST[precision]
    normalise = normaliser(clip.weights.preprocess, clip.device)

    def embed(pixels: torch.Tensor) -> Pending:
        tokens.clear()
        images = normalise(pixels)
        with torch.inference_mode(), torch.autocast(clip.device.type, kind, enabled=kind is not None):
            out = clip.model.encode_image(images)
        rows = (tokens[0] if stores == "x" else out).float()
        if not rows.is_cuda:
            return Pending(rows)
        host = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True).copy_(rows, non_blocking=True)
        return Pending(host, torch.cuda.current_stream(rows.device).record_event())

    hooked: AbstractContextManager[None] = nullcontext()
    if stores == "x":
        hooked = class_tokens(class_token_tower(clip.model, clip.weights.encoder).ln_post, tokens)
    with hooked, cast_weights(clip.model.visual, kind):
        yield embed


@contextmanager
def cast_weights(tower: nn.Module, kind: torch.dtype | None) -> Iterator[None]:
    """Weights of matrix products in the dtype of autocast, which would convert them for every batch anew."""
    products = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)
    chosen = [module for module in tower.modules() if kind is not None and isinstance(module, products)]
    kept = [(p, p.data) for module in chosen for p in module.parameters(recurse=False)]
    for parameter, data in kept:
        parameter.data = data.to(kind)
    try:
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data


@contextmanager
def class_tokens(ln_post: nn.Module, into: list[torch.Tensor]) -> Iterator[None]:
    """Append the class token that enters `ln_post` to `into` at every forward pass.

    The input is [n, tokens, d], class token first, or already pooled [n, d].
    """

    def keep(_module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        x = arguments[0]
        into.append(x[:, 0] if x.ndim == 3 else x)

    handle = ln_post.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()


class _Chunk:
    """Rows on their way into the store."""

    def __init__(self, name: str, dtype: str) -> None:
        self.name, self.dtype = name, dtype
        self._arrays: list[np.ndarray] = []
        self._reasons: list[str] = []

    @property
    def rows(self) -> int:
        return len(self._reasons)

    def add(self, rows: np.ndarray, reasons: list[str], weights: Path) -> None:
        """Take a batch; rows of unreadable images become zeros."""
        rows = np.where(np.array([not reason for reason in reasons])[:, None], rows, 0)
        with np.errstate(over="ignore"):
            stored = rows.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise RelianceError(
                "embedding.dtype, embedding.precision",
                "embeddings are finite numbers that the store can hold",
                found=f"{np.abs(rows).max():g} as {self.dtype}, from {weights}",
                allowed="values below 65504 for float16",
                next_step="write `dtype: float32`; if that fails too, `precision: fp32`, "
                "or the weights are damaged",
            )
        self._arrays.append(stored)
        self._reasons += reasons

    def take(self, start: int) -> tuple[dict[str, np.ndarray], list[tuple[int, str]]]:
        """Arrays and (image_id, reason) of the chunk whose first image_id is `start`; then empty."""
        valid = np.array([not reason for reason in self._reasons])
        arrays = {self.name: np.concatenate(self._arrays), "valid": valid}
        excluded = [(start + i, reason) for i, reason in enumerate(self._reasons) if reason]
        self._arrays, self._reasons = [], []
        return arrays, excluded


def _width(clip: Clip, stores: str) -> int:
    widths = {"embedding": int(clip.weights.config["embed_dim"])}
    if stores == "x":
        widths["x"] = int(class_token_tower(clip.model, clip.weights.encoder).proj.shape[0])
    return widths[stores]


def _computed(
    batches: Iterator[Batch], embed: Callable[[torch.Tensor], Pending], ahead: int
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Batches with their rows; `ahead` further ones are started before the rows of one are waited for."""
    started: list[tuple[Batch, Pending]] = []
    for batch in batches:
        started.append((batch, embed(batch.pixels)))
        if len(started) > ahead:
            first, pending = started.pop(0)
            yield first, pending.wait()
    for first, pending in started:
        yield first, pending.wait()


def _logged(loader: Any, count: int, start: int) -> Iterator[Batch]:
    """The loader's batches, with a line of progress every LOG_SECONDS. Raises a batch's failure."""
    began = last = time.monotonic()
    done = 0
    for batch in loader:
        if batch.failure:
            raise batch.failure
        yield batch
        done += len(batch.reasons)
        now = time.monotonic()
        if now - last >= LOG_SECONDS or done == count:
            rate = done / max(now - began, 1e-9)
            left = (count - done) / rate
            log.info("%d of %d images, %.1f per s, %.0f s left", start + done, start + count, rate, left)
            last = now
