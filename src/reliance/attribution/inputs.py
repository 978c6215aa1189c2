"""Opens what attribution and failure mining read, checks that it belongs together, yields it in blocks."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same
from reliance.base.device import choose_device
from reliance.base.errors import RelianceError, make_again
from reliance.base.rows import Parts
from reliance.codes.store import Codes, open_codes
from reliance.encoders.head import Head, load_head
from reliance.images.tables import read_split
from reliance.tails.head import LatentTables, PromptTables, latent_tables, prompt_tables
from reliance.units.sae.files import load_sae

log = logging.getLogger(__name__)


class Inputs(NamedTuple):
    """One split of a labelled data set with everything a relevance needs."""

    class_ids: np.ndarray  # int64 [C], ascending; elsewhere a class is its row here
    labels: np.ndarray  # row in class_ids of every image of the split, -1 without a class, int64 [N]
    embeddings: Parts  # x [N, d] and valid [N]
    codes: Codes
    decoder: np.ndarray  # float32 [m, d]
    head: Head
    text: np.ndarray  # float32 [C, p], one unit vector per class
    ids: dict[str, str]  # name -> id of the artifacts read, for the stamp of what is written


class Block(NamedTuple):
    """Labelled, readable images of a range of rows."""

    image_id: np.ndarray  # int64 [n]
    label: np.ndarray  # row in class_ids, int64 [n]
    x: np.ndarray  # float32 [n, d]
    values: np.ndarray  # float32 [n, k]; 0 is inactive
    indices: np.ndarray  # int64 [n, k]


def open_inputs(
    *, index: Path, embeddings: Path, codes: Path, sae: Path, head: Path, text: Path, split: str
) -> Inputs:
    """Open the artifacts of one split.

    Raises RelianceError if two of them come from different weights, images, embeddings or SAEs,
    or if an image's class has no prompt.
    """
    parts, stored_codes = Parts(embeddings, "embeddings"), open_codes(codes)
    arrays, sae_stamp = load_sae(sae)
    loaded_head, head_stamp = load_head(head)
    images = read_split(index, split)
    prompts = read_prompts(text)
    weights = (embeddings, parts.stamp.inputs["weights"])
    check_same("encoder weights", (head, head_stamp.inputs["weights"]), weights)
    check_same("encoder weights", (text, prompts.stamp.inputs["weights"]), weights)
    check_same("image index", (embeddings, parts.stamp.inputs["index"]), (index, images.stamp.id))
    check_same("SAE", (codes, stored_codes.stamp.inputs["sae"]), (sae, sae_stamp.id))
    check_same("embeddings", (codes, stored_codes.stamp.inputs["embeddings"]), (embeddings, parts.stamp.id))
    _check_split(parts, index, split, len(images.class_ids))
    ids = {
        "index": images.stamp.id,
        "embeddings": parts.stamp.id,
        "codes": stored_codes.stamp.id,
        "sae": sae_stamp.id,
        "head": head_stamp.id,
        "text": prompts.stamp.id,
        "weights": parts.stamp.inputs["weights"],
    }
    labels = _class_rows(index, text, prompts.class_ids, images.class_ids.astype(np.int64))
    return Inputs(
        prompts.class_ids,
        labels,
        parts,
        stored_codes,
        arrays.decoder_weight,
        loaded_head,
        prompts.vectors,
        ids,
    )


def open_tables(inputs: Inputs, device: str, threads: int, dtype: str) -> tuple[LatentTables, PromptTables]:
    """Tables of the decoder and of the classes' prompts; sets torch's number of threads.

    `device` is auto, cpu or cuda; `dtype` float32, or float64 to check float32.
    Raises RelianceError for cuda on a machine without a GPU.
    """
    torch.set_num_threads(threads)
    device = choose_device(device)
    tables = latent_tables(inputs.decoder, inputs.head, device, getattr(torch, dtype))
    return tables, prompt_tables(tables, inputs.text)


def blocks(inputs: Inputs, every_nth: int, block_rows: int) -> Iterator[Block]:
    """Every `every_nth` image that has a class and could be read; a block is from `block_rows` rows.

    Logs how far it is every 30 seconds. Raises RelianceError for class tokens that are not finite.
    """
    said = time.monotonic()
    for start, stop in inputs.embeddings.blocks(block_rows):
        if time.monotonic() - said > 30:
            said = time.monotonic()
            log.info("image %d of %d", start, inputs.embeddings.rows)
        rows = np.arange(start, stop)
        keep = (rows % every_nth == 0) & (inputs.labels[start:stop] >= 0)
        keep &= inputs.embeddings.read("valid", start, stop)
        if keep.any():
            x = inputs.embeddings.read("x", start, stop)[keep].astype(np.float32)
            _check_finite(inputs.embeddings, rows[keep], x)
            values, indices = inputs.codes.block(start, stop)
            yield Block(rows[keep], inputs.labels[rows[keep]], x, values[keep], indices[keep])


def _check_split(parts: Parts, index: Path, split: str, rows: int) -> None:
    found = f"{parts.rows} rows of split '{parts.stamp.params['split']}'"
    expected = f"{rows} rows of split '{split}'"
    if found != expected:
        raise RelianceError(
            parts.path,
            f"it must hold the images of the split that is asked for, as listed in {index}",
            found=found,
            allowed=expected,
            next_step="embeddings of another split were given: check which manifest the rule names",
        )


def _check_finite(parts: Parts, rows: np.ndarray, x: np.ndarray) -> None:
    broken = rows[~np.isfinite(x).all(axis=1)]
    if len(broken):
        raise RelianceError(
            parts.path,
            "class tokens are finite numbers",
            found=f"infinite or missing numbers in {len(broken)} images, the first image_id {broken[0]}",
            allowed="finite numbers",
            next_step="float16 may have overflowed: embed with dtype float32",
        )


def _class_rows(index: Path, text: Path, class_ids: np.ndarray, class_of_image: np.ndarray) -> np.ndarray:
    """Row in `class_ids` of every image's class, -1 for images without one."""
    labelled = class_of_image >= 0
    if not labelled.any():
        raise RelianceError(
            index,
            "outputs are attributed for an image's own class",
            found="no image with a class",
            allowed="images in class folders",
            next_step="without classes there are components and names, but no attributions and no cases",
        )
    rows = np.searchsorted(class_ids, class_of_image).clip(max=len(class_ids) - 1)
    missing = np.unique(class_of_image[labelled & (class_ids[rows] != class_of_image)])
    if len(missing):
        raise RelianceError(
            text,
            "every class of the images has a prompt",
            found=f"none for {len(missing)} classes, the first {missing[:5].tolist()}",
            allowed="one prompt per class of the index",
            next_step=f"the prompts were made for another list of classes: {make_again(text)}",
        )
    return np.where(labelled, rows, -1)
