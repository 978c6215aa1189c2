"""The heavy stages, each a function that `clock.alone` can run, and the made artifacts that they read.

Settings are those of config/config.yaml. Of ImageNet only every fifth image is mined; here all of them unless
`every_nth` says otherwise, so that small splits have enough per class.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from made import Kindred, World
from reliance.attribution import table
from reliance.attribution.inputs import Computing, Explained
from reliance.base.artifacts import read_table, write_table
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.codes import top_samples as samples
from reliance.codes.encode import encode_part
from reliance.codes.store import gather_codes
from reliance.encoders.head import project, save_head
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT
from reliance.failures import expectation, outliers
from reliance.images.tables import INDEX
from reliance.repair import mining
from reliance.repair.families import family_frame
from reliance.repair.schema import FAMILIES
from reliance.units.sae.files import Sae, save_sae

WEIGHTS = "0" * 64
ROWS = 16384  # images per chunk of a part


class Run(NamedTuple):
    """Where and how a stage runs."""

    folder: Path
    device: str
    threads: int
    block_rows: int
    every_nth: int = 1  # of the images, one is mined

    @property
    def inputs(self) -> dict[str, Path]:
        """What attribution and mining read."""
        paths = {n: self.folder / f"{n}.parquet" for n in ("index", "text")}
        paths |= {n: self.folder / f"{n}.safetensors" for n in ("sae", "head")}
        return paths | {n: self.folder / n / "manifest.json" for n in ("embeddings", "codes")}

    @property
    def files(self) -> Explained:
        """The same as stages take it."""
        return Explained(**self.inputs)

    @property
    def computing(self) -> Computing:
        """How."""
        return Computing(self.block_rows, self.device, self.threads)

    @property
    def settings(self) -> dict[str, object]:
        """What all of these stages share."""
        return {"device": self.device, "threads": self.threads, "block_rows": self.block_rows}

    def tables(self, *names: str) -> dict[str, Path]:
        """Outputs by name."""
        return {n: self.folder / f"{n}.parquet" for n in names}


def encode(run: Run) -> None:
    """Stages `encode` and `gather_codes`."""
    part = run.folder / "encoded" / "part-0-of-1.zarr"
    inputs = {name: run.inputs[name] for name in ("embeddings", "sae")}
    encode_part(**inputs, part=part, part_index=0, parts=1, **run.settings)
    gather_codes(parts=[part], manifest=run.folder / "encoded" / "manifest.json")


def top_samples(run: Run) -> None:
    """Stage `top_samples`; it has one thread and needs no device."""
    samples.top_samples(codes=run.inputs["codes"], block_rows=run.block_rows, **run.tables("top_samples"))


def attribute_split(run: Run) -> None:
    """Stage `attribute_split` over all images."""
    written = run.tables("attributions", "outputs")
    table.attribute_split(run.files, **written, split="train", computing=run.computing)


def attribute_subset(run: Run) -> None:
    """Stage `attribute_split` over the images that are mined."""
    written = run.tables("attributions", "outputs")
    options = {"split": "train", "every_nth": run.every_nth}
    table.attribute_split(run.files, **written, **options, computing=run.computing)


def expectations(run: Run) -> None:
    """Stage `expectations`; needs `attribute_subset`."""
    expectation.expectations(**run.tables("attributions", "outputs", "expectations"))


def mine_outliers(run: Run) -> None:
    """Stage `mine_outliers`; needs `expectations`."""
    written = run.tables("expectations", "outliers", "outlier_samples")
    outliers.mine_outliers(run.files, **written, every_nth=run.every_nth, computing=run.computing)


def mine_families(run: Run) -> None:
    """Stage `mine_families`, of a `Kindred` world; needs no stage before it."""
    written = {n: run.folder / f"family_{n}.parquet" for n in ("outliers", "outlier_samples", "confident")}
    options = {"every_nth": run.every_nth, "computing": run.computing}
    mining.mine_families(run.files, **run.tables("families"), **written, **options)


def outputs(run: Run) -> None:
    """y of every image and class, computed as the robustness benchmark does."""
    embeddings = Embeddings(run.inputs["embeddings"])
    text = np.stack(read_table(run.inputs["text"], TEXT).frame["embedding"].to_list())
    with threadpool_limits(run.threads):
        for start, stop in embeddings.blocks(run.block_rows):
            z = embeddings.z(start, stop)
            text @ (z / np.linalg.norm(z, axis=1, keepdims=True)).T


STAGES = (encode, top_samples, attribute_split, attribute_subset, expectations, mine_outliers, outputs)


def write(world: World, folder: Path) -> dict[str, Path]:
    """All artifacts that encoding, attribution and mining read, by the names the stages give them."""
    paths = {n: folder / f"{n}.parquet" for n in ("index", "text")}
    paths |= {n: folder / f"{n}.safetensors" for n in ("sae", "head")}
    images = {"split": "train", "image_id": np.arange(world.images), "path": "", "class_id": world.label}
    index = write_table(paths["index"], pd.DataFrame(images | {"bytes": 1}), INDEX, {}, {}).id
    m = len(world.decoder)
    sae = Sae(world.decoder, np.zeros(m, np.float32), world.decoder, world.bias, world.k)
    stamp = save_sae(paths["sae"], sae, {}, {"encoder": WEIGHTS})
    save_head(paths["head"], world.head, WEIGHTS)
    ids = range(world.classes)
    rows = {"prompt_id": ids, "class_id": ids, "prompts": [[""]] * world.classes}
    frame = pd.DataFrame(rows | {"embedding": list(world.text)})
    write_table(paths["text"], frame, TEXT, {}, {"weights": WEIGHTS})
    if isinstance(world, Kindred):
        paths["families"] = folder / "families.parquet"
        params = {"cuts": [0.7, 0.55, 0.4], "m": m}
        write_table(paths["families"], family_frame(world.levels), FAMILIES, params, {"sae": stamp.id})
    inputs = {"index": index, "weights": WEIGHTS}

    def embedded(start: int, stop: int) -> dict[str, np.ndarray]:
        x = world.x(start, stop)
        return {"x": x, "embedding": project(x, world.head), "valid": np.ones(stop - start, bool)}

    paths["embeddings"], embeddings = write_parts(folder / "embeddings", world, embedded, inputs)
    inputs = {"sae": stamp.id, "embeddings": embeddings, "index": index}
    kind = np.uint16 if m <= 65535 else np.int32

    def codes(start: int, stop: int) -> dict[str, np.ndarray]:
        values, indices = world.code(start, stop)
        return {"values": values, "indices": indices.astype(kind)}

    paths["codes"], _ = write_parts(folder / "codes", world, codes, inputs)
    return paths


def write_parts(
    folder: Path,
    world: World,
    arrays: Callable[[int, int], dict[str, np.ndarray]],
    inputs: dict[str, str],
    split: str = "train",
) -> tuple[Path, str]:
    """One part with its manifest, written block by block; the folder's name is the kind. Path and id."""
    layouts = {name: Layout(a.shape[1:], a.dtype.str) for name, a in arrays(0, 1).items()}
    params, part = {"split": split, "m": len(world.decoder)}, folder / "part.zarr"
    rows, step = PartRange(0, world.images), min(ROWS, world.images)
    writer = PartWriter(part, folder.name, rows, layouts, params, inputs, chunk_rows=step)
    while writer.next_row < world.images:
        start = writer.next_row
        writer.append(arrays(start, min(start + step, world.images)))
    writer.finish()
    return folder / "manifest.json", write_manifest(folder / "manifest.json", [part], folder.name).id
