"""Opens what an audit reads and checks that it belongs together."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.inputs import LATENTS, Computing, Explained, open_tail
from reliance.audits.schema import AUDIT_SPLIT
from reliance.base.artifacts import Stamp, check_same, read_table
from reliance.base.device import choose_device
from reliance.base.errors import RelianceError
from reliance.encoders.head import Head, load_head
from reliance.encoders.stored import check_site
from reliance.images.tables import INDEX
from reliance.robustness.inputs import Embedded, length, open_split, unit_blocks, z_blocks
from reliance.tails.linear import LinearTail
from reliance.tails.protocol import Tail
from reliance.units.kinds import open_units
from reliance.units.protocol import Sources, Units


class Learned(NamedTuple):
    """The images a probe learns from, in the order of image_id, with what explains them."""

    rows: np.ndarray  # image_id int64 [n], readable ones
    positive: np.ndarray  # bool [n]
    embedded: Embedded
    units: Units
    head: Head
    names: tuple[str, str]  # of the positive and the negative class
    ids: dict[str, str]


class ProbedImages(NamedTuple):
    """Images a probe learns from, of a range of rows."""

    positive: np.ndarray  # bool [n]
    x: np.ndarray  # float32 [n, d]
    values: np.ndarray  # float32 [n, k]; 0 is inactive
    indices: np.ndarray  # int64 [n, k]


def open_learned(files: Explained, audit_split: Path, units: str = LATENTS) -> Learned:
    """Open the images that a probe learns from: split "train" and its units.

    Raises RelianceError if two artifacts come from different images, weights, embeddings or SAEs.
    """
    opened = open_split(files.index, files.embeddings, "train")
    frame, stamp = read_split_table(audit_split, files.index)
    if files.head is None:
        raise ValueError("an audit is of a site with a head")
    head, head_stamp = load_head(files.head)
    weights = (files.embeddings, opened.ids["weights"])
    check_same("encoder weights", (files.head, head_stamp.inputs["weights"]), weights)
    check_site(files.head, head_stamp.params["site"], opened.embeddings)
    found = open_units(units, Sources(opened.embeddings, files.codes, files.sae, files.fitted))
    fit = frame[frame["fit"]].sort_values("image_id")
    fit = fit[opened.readable[fit["image_id"].to_numpy()]]
    positive, names = fit["positive"].to_numpy(bool), tuple(stamp.params["names"])
    check_both(audit_split, positive, names, "training")
    ids = {**opened.ids, **found.ids, "audit_split": stamp.id}
    return Learned(fit["image_id"].to_numpy(), positive, opened, found, head, names, ids)


def open_probes(learned: Learned, weight: np.ndarray, computing: Computing) -> Tail:
    """The tail from the units to probes with weights [q, p], which take the place of prompts."""
    return open_tail(learned.units, learned.head, weight, computing)


def open_raw(learned: Learned, weight: np.ndarray, computing: Computing) -> LinearTail:
    """The same to probes [q, p] that read z, not z/|z|."""
    torch.set_num_threads(computing.threads)
    device, dtype = choose_device(computing.device), getattr(torch, computing.dtype)
    return LinearTail(learned.head, learned.units.directions, weight, device, dtype)


def read_split_table(audit_split: Path, index: Path) -> tuple[pd.DataFrame, Stamp]:
    """Which images an audit uses, and its stamp. Raises RelianceError if they are of another index."""
    drawn = read_table(audit_split, AUDIT_SPLIT)
    index_id = read_table(index, INDEX, columns=["split"]).stamp.id
    check_same("index", (audit_split, drawn.stamp.inputs["index"]), (index, index_id))
    return drawn.frame, drawn.stamp


def check_both(audit_split: Path, positive: np.ndarray, names: Sequence[str], what: str) -> None:
    """Raise RelianceError unless both classes have a readable image; positive : bool [n]."""
    counts = int(positive.sum()), int((~positive).sum())
    if not all(counts):
        raise RelianceError(
            audit_split,
            f"both classes of an audit have {what} images that can be read",
            found=", ".join(f"{n} of {name}" for n, name in zip(counts, names, strict=True)),
            allowed="at least one of each",
            next_step="see excluded.parquet of the data set; restore its images, or audit other classes",
        )


def unit_embeddings(opened: Embedded, rows: np.ndarray, block_rows: int) -> np.ndarray:
    """Unit embeddings float32 [n, p] of ascending rows."""
    chosen = np.zeros(opened.embeddings.rows, bool)
    chosen[rows] = True
    return np.concatenate([unit for _, unit in unit_blocks(opened.embeddings, chosen, block_rows)])


def lengths_of(opened: Embedded, rows: np.ndarray, block_rows: int) -> np.ndarray:
    """|z| float32 [n] of ascending rows."""
    chosen = np.zeros(opened.embeddings.rows, bool)
    chosen[rows] = True
    return np.concatenate([length(z) for _, z in z_blocks(opened.embeddings, chosen, block_rows)])


def blocks(learned: Learned, block_rows: int) -> Iterator[ProbedImages]:
    """The images with their class tokens and codes, `block_rows` rows of the split at a time."""
    embeddings = learned.embedded.embeddings
    for start, stop in embeddings.blocks(block_rows):
        low, high = np.searchsorted(learned.rows, [start, stop])
        if low < high:
            keep = learned.rows[low:high] - start
            values, indices = learned.units.block(start, stop)
            x = embeddings.read("x", start, stop)[keep].astype(np.float32)
            yield ProbedImages(learned.positive[low:high], x, values[keep], indices[keep])


def activations_of(learned: Learned, component: int, block_rows: int) -> np.ndarray:
    """Activation of one component on every image, float32 [n]; 0 where it is silent."""
    found = [(b.values * (b.indices == component)).sum(axis=1) for b in blocks(learned, block_rows)]
    return np.concatenate(found)
