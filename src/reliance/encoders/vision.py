"""Stage `embed_images`: every image goes through the vision transformer once.

Stored is x, read at a site of the encoder, and the image embedding z beside it. Decoding runs in worker
processes, the model in this one; batches never cross a chunk of the store, so that a job that was killed
ends with the same numbers.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from reliance.base.errors import RelianceError
from reliance.base.rows import PartWriter
from reliance.base.telling import advance
from reliance.encoders import kept
from reliance.encoders.chunk import Chunk
from reliance.encoders.model import Clip, load_model
from reliance.encoders.sites.site import Site, layouts
from reliance.encoders.stored import KIND
from reliance.encoders.together import alone, guests
from reliance.images.decode import Images, Pixels, Reading
from reliance.images.slices import read_part

log = logging.getLogger(__name__)
LOG_SECONDS = 30.0
AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Share(NamedTuple):
    """Which part of a split a job embeds."""

    split: str
    part_index: int
    parts: int
    together: Mapping[str, Mapping[str, Any]] = {}  # other sites to record in the same pass, see `together`


class Store(NamedTuple):
    """How embeddings are stored."""

    dtype: str = "float16"  # of x, "float16" | "float32"
    chunk_rows: int = 2048  # between savepoints


class Compute(NamedTuple):
    """How the model runs."""

    precision: str = "fp32"  # arithmetic, "fp32" | "bf16" | "fp16" (autocast)
    batch_size: int = 64
    workers: int = 1  # processes that decode; 0 decodes in this one
    device: str = "auto"  # "auto" | "cpu" | "cuda"
    threads: int = 1  # of the CPU, for the model


def embed_images_at(
    *,
    site: Site,
    index: Path,
    weights: Path,
    part: Path,
    share: Share,
    reading: Reading,
    store: Store,
    compute: Compute,
    fingerprint: str = "",
    keep: bool = False,
) -> None:
    """Embed one part of a split; a job that was killed goes on at its last finished chunk.

    site : where x is read. index, weights : inputs.
    part : output folder, rows [iN/K, (i+1)N/K) of the split: x [n, d] at the site, `embedding` [n, p] (what
        the site's head makes of the stored x, see `sites.site.image_embeddings`; not normalised), `valid`.
    reading : how image files become pixels. fingerprint : of the code, for resuming. keep : whether rows of
        images that stayed as they were are taken over, see `kept`.
    An unreadable image is a row of zeros with `valid` False, and (image_id, reason) in the part.
    Raises RelianceError for a wrong split, unfit weights, values the store's dtype cannot hold, or
    a file that is gone or may not be read.
    """
    torch.set_num_threads(compute.threads)
    listed, span = read_part(index, share.split, share.part_index, share.parts)
    clip = load_model(weights, compute.device)
    identity = _identity(site, share.split, reading, store, compute)
    # sums may round differently in batches of another size
    code = f"{fingerprint} batch_size={compute.batch_size}"
    inputs = {"index": listed.stamp.id, "weights": clip.stamp.id}
    states = kept.states_of(reading.dataset_root, listed) if keep else []

    def begin(at: Site, folder: Path, of: str) -> PartWriter:
        begun = f"{of} batch_size={compute.batch_size}{kept.digest(states)}"
        same = identity if at is site else _identity(at, share.split, reading, store, compute)
        rows = layouts(at, clip, store.dtype)
        return PartWriter(
            folder, KIND, span, rows, same, inputs, fingerprint=begun, chunk_rows=store.chunk_rows
        )

    with alone(part):
        writer = begin(site, part, fingerprint)
    key = kept.key_of(clip.stamp.id, code, {**identity, "split": ""}, reading.dataset_root)
    known = kept.earlier(part, key, states, span.start, list(writer.layouts)) if keep else kept.NOTHING
    todo = known.fresh(range(writer.next_row, span.stop))
    own = [row - span.start for row in todo]
    paths, sizes, places = (column[own].tolist() for column in (listed.paths, listed.sizes, listed.places))
    images = Images(paths, reading, clip.weights.preprocess, sizes, places)
    places_of_batches = chunked_batches(own, store.chunk_rows, compute.batch_size)
    chunk = Chunk(site, clip, store.dtype)
    beside = [] if known.place else guests(share.together, writer, clip, store.dtype, begin)
    sites = [site, *(guest.site for guest in beside)]
    with passed(clip, sites, images, places_of_batches, compute, span.stop) as batches:
        while writer.next_row < span.stop:
            rows = range(writer.next_row, min(writer.next_row + store.chunk_rows, span.stop))
            fresh = known.fresh(rows)
            while chunk.rows < len(fresh):
                batch, (found, *others) = next(batches)
                own = fresh[chunk.rows :][: len(batch.reasons)]
                for taking, values in zip((chunk, *(g.chunk for g in beside)), (found, *others), strict=True):
                    taking.add(values, batch.reasons, own)
            made, excluded = chunk.take(fresh) if fresh else ({}, [])
            writer.append(known.filled(rows, fresh, made), excluded)
            for guest in beside:
                guest.writer.append(*guest.chunk.take(fresh))
        next(batches, None)  # which tells the last progress
    for guest in beside:
        guest.leave()
    writer.finish()
    if keep:
        kept.keep(part, key, listed.stamp.id, states, share.parts)


def _identity(site: Site, split: str, reading: Reading, store: Store, compute: Compute) -> dict[str, Any]:
    """The params of a part."""
    params = {"split": split, "site": site.name, "dtype": store.dtype, "precision": compute.precision}
    changed: dict[str, Any] = {"transform": dict(reading.transform)} if reading.transform else {}
    if reading.jpeg_decoding != "exact":  # embeddings from before there was a choice are still the same
        changed["jpeg_decoding"] = reading.jpeg_decoding
    if site.sampled:
        changed["tokens_per_image"] = site.sampled.most
    return {**params, **changed, "apply_exif": reading.apply_exif, "max_pixels": reading.max_pixels}


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


@contextmanager
def passed(
    clip: Clip, sites: list[Site], images: Images, batches: list[list[int]], compute: Compute, end: int
) -> Iterator[Iterator[tuple[Batch, list[list[np.ndarray]]]]]:
    """Batches of places in `images` with what the model makes of them at each site; `end` is for progress."""
    loader: Any = DataLoader(
        images,  # type: ignore[arg-type]  # anything with __len__ and __getitem__ will do
        batch_sampler=batches,
        num_workers=compute.workers,
        collate_fn=collate,
        pin_memory=clip.device.type == "cuda",
    )
    with forward(clip, sites[0], compute.precision, sites[1:]) as run:
        logged = _logged(loader, len(images), end - len(images))
        made = _computed(logged, run, ahead=int(clip.device.type == "cuda"))
        ends = np.cumsum([0, *(1 if site.head else 2 for site in sites)]).tolist()
        yield ((batch, [rows[a:b] for a, b in pairwise(ends)]) for batch, rows in made)


class Pending(NamedTuple):
    """Rows that may still be on their way from a GPU."""

    rows: list[torch.Tensor]  # x [n, d] and perhaps z [n, p], float32, in the memory of the CPU
    arrived: torch.cuda.Event | None = None

    def wait(self) -> list[np.ndarray]:
        """The rows, once they are there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return [np.asarray(rows) for rows in self.rows]


def normaliser(
    preprocess: Mapping[str, Any], device: torch.device | str = "cpu"
) -> Callable[[torch.Tensor], torch.Tensor]:
    """ToTensor and Normalize of open_clip's transform, uint8 [n, 3, h, w] to float32 on `device`."""
    mean, std = (torch.tensor(preprocess[name], device=device).view(3, 1, 1) for name in ("mean", "std"))

    def normalise(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.to(device, non_blocking=True).float().div_(255).sub_(mean).div_(std)

    return normalise


def chunked_batches(rows: Sequence[int], chunk_rows: int, batch_size: int) -> list[list[int]]:
    """Places in ascending `rows` of every batch: at most `batch_size`, none across a chunk's end."""
    chunks = [list(same) for _, same in groupby(range(len(rows)), lambda i: rows[i] // chunk_rows)]
    return [chunk[i : i + batch_size] for chunk in chunks for i in range(0, len(chunk), batch_size)]


@contextmanager
def forward(
    clip: Clip, site: Site, precision: str = "fp32", others: Sequence[Site] = ()
) -> Iterator[Callable[[torch.Tensor], Pending]]:
    """A function from uint8 pixels [n, 3, h, w] to x [n, d] at a site, and to z [n, p] too if it has no head;
    the same of `others` behind.

    On a GPU it returns before the rows are computed, so that the next batch can follow at once.
    """
    caught: list[list[torch.Tensor]] = [[] for _ in (site, *others)]
    kind = AUTOCAST[precision]
    normalise = normaliser(clip.weights.preprocess, clip.device)

    def run(pixels: torch.Tensor) -> Pending:
        for own in caught:
            own.clear()
        images = normalise(pixels)
        with torch.inference_mode(), torch.autocast(clip.device.type, kind, enabled=kind is not None):
            z = clip.model.encode_image(images)
        found = [
            values
            for at, own in zip((site, *others), caught, strict=True)
            for values in (own[0] if at.catch else z, *([] if at.head else [z]))
        ]
        rows = [values.float() for values in found]
        if not rows[0].is_cuda:
            return Pending(rows)
        host = [
            torch.empty(r.shape, dtype=r.dtype, pin_memory=True).copy_(r, non_blocking=True) for r in rows
        ]
        return Pending(host, torch.cuda.current_stream(rows[0].device).record_event())

    with ExitStack() as stack:
        for at, own in zip((site, *others), caught, strict=True):
            if at.catch:
                stack.enter_context(at.catch(clip, own))
        stack.enter_context(cast_weights(clip.model.visual, kind))
        yield run


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


def _computed(
    batches: Iterator[Batch], run: Callable[[torch.Tensor], Pending], ahead: int
) -> Iterator[tuple[Batch, list[np.ndarray]]]:
    """Batches with their rows; `ahead` further ones are started before the rows of one are waited for."""
    started: list[tuple[Batch, Pending]] = []
    for batch in batches:
        started.append((batch, run(batch.pixels)))
        if len(started) > ahead:
            first, pending = started.pop(0)
            yield first, pending.wait()
    for first, pending in started:
        yield first, pending.wait()


def _logged(loader: Any, count: int, start: int) -> Iterator[Batch]:
    """The loader's batches, with a line of progress every LOG_SECONDS. Raises a batch's failure."""
    began = last = time.monotonic()
    n, end = 0, start + count
    for batch in loader:
        if batch.failure:
            raise batch.failure
        yield batch
        n += len(batch.reasons)
        advance(start + n, end, "images")
        if (now := time.monotonic()) - last >= LOG_SECONDS or n == count:
            rate = n / max(now - began, 1e-9)
            log.info("%d of %d images, %.1f per s, %.0f s left", start + n, end, rate, (count - n) / rate)
            last = now
