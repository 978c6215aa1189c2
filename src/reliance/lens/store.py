"""Stages `lens_part` and `lens_strongest`: second-order coefficients of a block's neurons, image by image.

Of a split, `images` evenly spaced ones are recorded. A row of a part is an image:

    coefficients  c / scale [N, K]        direct  first-order coefficients / direct_scale [N]
    image_id, scale, direct_scale ()      embedding  z/|z| [p]      common  q(I) [p], of ln_mean shared only

Divided by the largest of its image, c keeps 11 bits of it in float16 down to 6e-5 of the largest. An
unreadable image is a row of zeros and listed. For data sets too large for that, `lens_strongest` keeps each
neuron's strongest images alone, and what means are made of: a pass over some of the part's images gives the
means that effects are ranked by meanwhile.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader

from reliance.base.artifacts import STAMP_KEY, Stamp, derived_stamp, hash_arrays
from reliance.base.rows import Layout, Parts, PartWriter, part_range, write_manifest
from reliance.base.telling import advance
from reliance.base.tensors import write_tensors
from reliance.encoders.model import Clip, load_model
from reliance.encoders.vision import Compute, Share, chunked_batches, collate
from reliance.images.decode import Images, Reading
from reliance.images.tables import SplitRows, read_split
from reliance.lens.effects import coefficients, common, direct, wanted
from reliance.lens.paths import SHARED, neuron_paths
from reliance.lens.ranking import Ranking, grams
from reliance.lens.record import Recorder, place_in, recording

KIND, STRONGEST_KIND, SCHEMA = "lens_coefficients", "lens_strongest", 1
PILOT = 256  # images that give the first means where only the strongest are kept


class Asked(NamedTuple):
    """Whose effects, and how."""

    block: int  # from 0, or from the end
    images: int = 5000  # evenly spaced ones of the split
    dtype: str = "float16"
    ln_mean: str = "exact"
    chunk_rows: int = 128


class Batch(NamedTuple):
    """What is stored of some images."""

    arrays: dict[str, np.ndarray]
    excluded: list[tuple[int, str]]  # (row of the sample, reason)


def sampled(rows: int, images: int) -> np.ndarray:
    """Evenly spaced rows of a split, int64."""
    return np.unique(np.linspace(0, rows - 1, min(images, rows)).astype(np.int64))


class Effects:
    """Runs images of a split through a model and gives what is stored of them."""

    def __init__(self, weights: Path, index: Path, share: Share, asked: Asked, compute: Compute) -> None:
        torch.set_num_threads(compute.threads)
        self.clip: Clip = load_model(weights, compute.device)
        self.block, self.asked, self.compute = place_in(self.clip, asked.block), asked, compute
        self.listed: SplitRows = read_split(index, share.split)
        self.image_ids = sampled(len(self.listed.paths), asked.images)
        self.span = part_range(len(self.image_ids), share.parts, share.part_index)
        self.identity = {
            "split": share.split,
            "block": self.block,
            **asked._asdict(),
            "precision": compute.precision,
        }
        del self.identity["chunk_rows"]
        self.inputs = {"index": self.listed.stamp.id, "weights": self.clip.stamp.id}

    def layouts(self) -> dict[str, Layout]:
        """Arrays of a row."""
        u = neuron_paths(self.clip, self.block)
        n, k, p = u.shape
        values, single = self.asked.dtype, Layout((), "float32")
        shared = {"common": Layout((p,), "float32")} if self.asked.ln_mean == SHARED else {}
        return {
            "image_id": Layout((), "int64"),
            "valid": Layout((), "bool"),
            "coefficients": Layout((n, k), values),
            "direct": Layout((n,), values),
            "scale": single,
            "direct_scale": single,
            "embedding": Layout((p,), "float32"),
            **shared,
        }

    def batches(self, rows: Sequence[int], reading: Reading) -> Iterator[Batch]:
        """What is stored of rows of the sample, a chunk at a time. Raises RelianceError for a lost file."""
        ids = self.image_ids[list(rows)]
        columns = (self.listed.paths, self.listed.sizes, self.listed.places)
        paths, sizes, places = (column[ids].tolist() for column in columns)
        images = Images(paths, reading, self.clip.weights.preprocess, sizes, places)
        step = self.asked.chunk_rows
        loader: Any = DataLoader(
            images,  # type: ignore[arg-type]
            batch_sampler=chunked_batches([r - self.span.start for r in rows], step, self.compute.batch_size),
            num_workers=self.compute.workers,
            collate_fn=collate,
        )
        done: list[Batch] = []
        place = 0
        with recording(self.clip, wanted(self.clip, self.block), self.compute.precision) as recorder:
            for batch in loader:
                if batch.failure:
                    raise batch.failure
                own = rows[place : place + len(batch.reasons)]
                done.append(self._made(recorder, batch.pixels, batch.reasons, own))
                place += len(own)
                advance(place, len(rows), "images")
                if place == len(rows) or (rows[place] - self.span.start) % step == 0:
                    yield _joined(done)
                    done = []

    def _made(
        self, recorder: Recorder, pixels: torch.Tensor, reasons: list[str], rows: Sequence[int]
    ) -> Batch:
        found = recorder.run(pixels.to(self.clip.device))
        with torch.inference_mode():
            unit = torch.nn.functional.normalize(found.z, dim=1)
            c, scale = _scaled(coefficients(found, self.block))
            first, first_scale = _scaled(direct(self.clip, found, self.block)[0])
            made = {"embedding": unit, "coefficients": c, "scale": scale}
            made |= {"direct": first, "direct_scale": first_scale}
            if self.asked.ln_mean == SHARED:
                made["common"] = common(self.clip, found, self.block)
        valid = np.array([not reason for reason in reasons])
        arrays = {name: values.cpu().numpy() for name, values in made.items()}
        for values in arrays.values():
            values[~valid] = 0
        arrays |= {"image_id": self.image_ids[list(rows)], "valid": valid}
        return Batch(arrays, [(row, reason) for row, reason in zip(rows, reasons, strict=True) if reason])


def _scaled(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of each image over the largest of them, and that."""
    largest = values.abs().flatten(1).amax(1).clamp(min=1e-30)
    return values / largest.view(-1, *[1] * (values.ndim - 1)), largest


def _joined(batches: list[Batch]) -> Batch:
    names = batches[0].arrays
    arrays = {name: np.concatenate([batch.arrays[name] for batch in batches]) for name in names}
    return Batch(arrays, [bad for batch in batches for bad in batch.excluded])


def lens_part(
    *,
    index: Path,
    weights: Path,
    part: Path,
    share: Share,
    asked: Asked,
    reading: Reading,
    compute: Compute,
    fingerprint: str = "",
) -> None:
    """Stage: one part of the sample of a split; a job that was killed goes on at its last finished chunk.

    Raises RelianceError for a wrong split, unfit weights, no such block, or a file that is gone.
    """
    effects = Effects(weights, index, share, asked, compute)
    writer = PartWriter(
        part,
        KIND,
        effects.span,
        effects.layouts(),
        effects.identity,
        effects.inputs,
        fingerprint=f"{fingerprint} batch_size={compute.batch_size}",
        chunk_rows=asked.chunk_rows,
    )
    for batch in effects.batches(range(writer.next_row, effects.span.stop), reading):
        writer.append(batch.arrays, batch.excluded)
    writer.finish()


def gather_lens(*, parts: Sequence[Path], manifest: Path) -> None:
    """Stage: the manifest of a split's parts. Raises RelianceError if they do not belong together."""
    write_manifest(manifest, parts, KIND)


class Coefficients:
    """Coefficients of a split, read in blocks of readable images."""

    def __init__(self, manifest: Path) -> None:
        self.parts = Parts(manifest, KIND)
        self.path, self.stamp = self.parts.path, self.parts.stamp
        self.shared = "common" in self.parts.layouts

    def blocks(self, rows: int = 256) -> Iterator[dict[str, np.ndarray]]:
        """Arrays by name, as float32 and with the scales multiplied in; `image_id` int64 [n]."""
        for start, stop in self.parts.blocks(rows):
            arrays = {name: self.parts.read(name, start, stop) for name in self.parts.layouts}
            good = arrays.pop("valid")
            arrays = {name: values[good] for name, values in arrays.items()}
            yield unscaled(arrays)


def unscaled(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of rows as they were computed."""
    found = dict(arrays)
    c, first = (found[name].astype(np.float32) for name in ("coefficients", "direct"))
    found["coefficients"] = c * found.pop("scale")[:, None, None]
    found["direct"] = first * found.pop("direct_scale")[:, None]
    return found


def lens_strongest(
    *,
    index: Path,
    weights: Path,
    strongest: Path,
    share: Share,
    asked: Asked,
    reading: Reading,
    compute: Compute,
    kept: int = 100,
) -> None:
    """Stage: of one part of the sample, each neuron's `kept` strongest images and the sums of all.

    strongest : output, a Ranking as safetensors. Raises RelianceError as `lens_part`.
    """
    effects = Effects(weights, index, share, asked, compute)
    u = neuron_paths(effects.clip, effects.block, asked.ln_mean).cpu().numpy()
    rows = range(effects.span.start, effects.span.stop)
    pilot = [rows[i] for i in sampled(len(rows), PILOT)]
    first = [_readable(batch) for batch in effects.batches(pilot, reading)]
    ranking = Ranking.empty(u.shape, kept, effects.asked.ln_mean == SHARED)
    if first:
        c = np.concatenate([arrays["coefficients"] for arrays in first]).mean(0)
        shared = "common" in first[0]
        q = np.concatenate([arrays["common"] for arrays in first]).mean(0) if shared else None
        ranking = ranking.about_means(c, q)
    gram = None if asked.ln_mean == SHARED else grams(u)
    for batch in effects.batches(rows, reading):
        ranking = ranking.added(_readable(batch), u, gram)
    save_ranking(strongest, ranking, {**effects.identity, "kept": kept}, effects.inputs)


def _readable(batch: Batch) -> dict[str, np.ndarray]:
    good = batch.arrays["valid"]
    return unscaled({name: values[good] for name, values in batch.arrays.items() if name != "valid"})


def save_ranking(path: Path, ranking: Ranking, params: dict[str, Any], inputs: dict[str, str]) -> Stamp:
    """Write a ranking with its stamp."""
    arrays = {name: np.asarray(value) for name, value in ranking._asdict().items() if value is not None}
    stamp = derived_stamp(STRONGEST_KIND, SCHEMA, {**params, "content": hash_arrays(arrays)}, inputs)
    write_tensors(path, arrays, {STAMP_KEY: stamp.to_json()})
    return stamp
