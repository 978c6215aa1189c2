"""Opens what attribution and failure mining read, checks that it belongs together, yields it in blocks."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import Stamp, check_same
from reliance.base.device import choose_device
from reliance.base.entry import imported
from reliance.base.errors import RelianceError, make_again
from reliance.base.telling import advance
from reliance.config.sites import PATCHES
from reliance.encoders.head import Head, load_head
from reliance.encoders.stored import Embeddings, check_site
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.tails.head_tail import HeadTail
from reliance.tails.protocol import Tail
from reliance.units.kinds import open_units
from reliance.units.protocol import Sources, Units

log = logging.getLogger(__name__)
LATENTS = "reliance.codes.latents:open_latents"  # the kind of units "sae"


class Explained(NamedTuple):
    """The files of one split that is explained: images, their site vectors, units, the tail."""

    index: Path  # type: ignore[assignment]  # instead of the method of tuples
    embeddings: Path  # manifest of the split
    head: Path | None = None  # of a site with a closed form behind it; elsewhere the weights
    weights: Path | None = None
    codes: Path | None = None  # manifest of the split, for the latents of an SAE
    sae: Path | None = None
    text: Path | None = None  # prompts of the classes; an audit has a probe instead
    fitted: Path | None = None  # manifest that neurons and principal axes are fitted to


class Again(NamedTuple):
    """How images go through a network again, where no closed form stands behind the site."""

    network: str  # entry point of what opens the rest of the model (`config.sites`)
    block: int
    dataset_root: str
    apply_exif: bool = False
    max_pixels: int = 200_000_000
    jpeg_decoding: str = "exact"


class Behind(Protocol):
    """The rest of a model behind a site, for the images of one split, if it has no closed form."""

    site: str
    stamp: Stamp  # of the weights

    def tail(
        self, directions: np.ndarray, text: np.ndarray, device: str, dtype: torch.dtype, path_steps: int
    ) -> Tail:
        """The tail for units of directions [m, d] and text vectors [C, p]."""


class Computing(NamedTuple):
    """How something is computed."""

    block_rows: int = 4096  # rows read at a time
    device: str = "cpu"  # auto | cpu | cuda
    threads: int = 2
    dtype: str = "float32"  # float64 to check it


COMPUTING = Computing()


class Inputs(NamedTuple):
    """One split of a labelled data set with everything a relevance needs."""

    class_ids: np.ndarray  # int64 [C], ascending; elsewhere a class is its row here
    labels: np.ndarray  # row in class_ids of every image of the split, -1 without a class, int64 [N]
    embeddings: Embeddings  # x [N, d] and valid [N]
    units: Units
    head: Head | Behind
    text: np.ndarray  # float32 [C, p], one unit vector per class
    ids: dict[str, str]  # name -> id of the artifacts read, for the stamp of what is written


class LabelledImages(NamedTuple):
    """Labelled, readable images of a range of rows."""

    image_id: np.ndarray  # int64 [n]
    label: np.ndarray  # row in class_ids, int64 [n]
    x: np.ndarray  # float32 [n, d]
    values: np.ndarray  # float32 [n, k]; 0 is inactive
    indices: np.ndarray  # int64 [n, k]


def open_inputs(files: Explained, split: str, units: str = LATENTS, again: Again | None = None) -> Inputs:
    """Open the artifacts of one split; `units` is the entry point of their kind (`units.kinds`).

    again : where the rest of the model has no closed form.

    Raises RelianceError if two of them come from different weights, images, embeddings or SAEs,
    or if an image's class has no prompt.
    """
    if files.text is None:
        raise ValueError("relevances for an image's own class need `text`")
    parts = Embeddings(files.embeddings)
    behind = _behind(files, split, again)
    images = read_split(files.index, split)
    prompts = read_prompts(files.text)
    weights = (files.embeddings, parts.stamp.inputs["weights"])
    check_same("encoder weights", (behind.path, behind.weights), weights)
    check_same("encoder weights", (files.text, prompts.stamp.inputs["weights"]), weights)
    check_site(behind.path, behind.site, parts)
    named = (files.embeddings, parts.stamp.inputs["index"])
    check_same("image index", named, (files.index, images.stamp.id))
    opened = open_units(units, Sources(parts, files.codes, files.sae, files.fitted))
    _check_split(parts, files.index, split, len(images.class_ids))
    ids = {
        "index": images.stamp.id,
        "embeddings": parts.stamp.id,
        **opened.ids,
        **behind.ids,
        "text": prompts.stamp.id,
        "weights": parts.stamp.inputs["weights"],
    }
    labels = _class_rows(files.index, files.text, prompts.class_ids, images.class_ids.astype(np.int64))
    return Inputs(prompts.class_ids, labels, parts, opened, behind.rest, prompts.vectors, ids)


class _Rest(NamedTuple):
    path: Path
    rest: Head | Behind
    site: str
    weights: str  # their id
    ids: dict[str, str]


def _behind(files: Explained, split: str, again: Again | None) -> _Rest:
    """What stands behind the site: a head, or a network that images go through again."""
    if files.head is not None:
        head, stamp = load_head(files.head)
        site, weights = stamp.params["site"], stamp.inputs["weights"]
        return _Rest(files.head, head, site, weights, {"head": stamp.id})
    if again is None or files.weights is None:
        raise ValueError("a site without a head needs `weights`, and how images are read again")
    reading = Reading(again.dataset_root, again.apply_exif, again.max_pixels, None, again.jpeg_decoding)
    sources = {"weights": files.weights, "index": files.index, "split": split, "block": again.block}
    if again.network == PATCHES:
        sources["sae"] = files.sae
    rest: Behind = imported(again.network)(**sources, reading=reading)
    return _Rest(files.weights, rest, rest.site, rest.stamp.id, {})


def open_tail(
    units: Units, head: Head | Behind, text: np.ndarray, computing: Computing, path_steps: int = 10
) -> Tail:
    """The tail behind the site of x, for units and text vectors [C, p]; sets torch's number of threads.

    Raises RelianceError for cuda on a machine without a GPU.
    """
    torch.set_num_threads(computing.threads)
    device, dtype = choose_device(computing.device), getattr(torch, computing.dtype)
    if not isinstance(head, Head):
        return head.tail(units.directions, text, device, dtype, path_steps)
    return HeadTail(head, units.directions, text, device, dtype, path_steps)


def blocks(inputs: Inputs, every_nth: int, block_rows: int) -> Iterator[LabelledImages]:
    """Every `every_nth` image that has a class and could be read; a block is from `block_rows` rows.

    Logs how far it is every 30 seconds. Raises RelianceError for site vectors that are not finite.
    """
    said = time.monotonic()
    for start, stop in inputs.embeddings.blocks(block_rows):
        advance(start, inputs.embeddings.rows, "images")
        if time.monotonic() - said > 30:
            said = time.monotonic()
            log.info("image %d of %d", start, inputs.embeddings.rows)
        rows = np.arange(start, stop)
        keep = (rows % every_nth == 0) & (inputs.labels[start:stop] >= 0)
        keep &= inputs.embeddings.read("valid", start, stop)
        if keep.any():
            x = inputs.embeddings.read("x", start, stop)[keep].astype(np.float32)
            _check_finite(inputs.embeddings, rows[keep], x)
            values, indices = inputs.units.block(start, stop)
            yield LabelledImages(rows[keep], inputs.labels[rows[keep]], x, values[keep], indices[keep])


def _check_split(parts: Embeddings, index: Path, split: str, rows: int) -> None:
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


def _check_finite(parts: Embeddings, rows: np.ndarray, x: np.ndarray) -> None:
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
