"""What is known of the images shown where no closed form leads to the output: nothing is run again.

Outputs of all classes come from the stored image embeddings. Relevances are those of the pipeline's own table
(attributions of the subset): of training images in it, for their own class. Other images have their units by
activation alone; what these do to an output is answered by `reliance explain`, which runs the network.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.base.artifacts import check_same
from reliance.base.stamps import read_stamp
from reliance.codes.store import Codes, codes_at, open_codes
from reliance.encoders.stored import Embeddings
from reliance.explore.atlas.chunks import scaled
from reliance.explore.atlas.relevances import CLASSES, UNITS, empty_records
from reliance.explore.lookup import rows_where

_STEP = 4096  # images at a time


class Recorded(NamedTuple):
    """The files of a variant behind an earlier block."""

    text: Path  # prompts of the classes
    attributions: Path  # of some training images, for their own class
    outputs: Path  # y of the same
    embeddings: Mapping[str, Path]  # by split
    codes: Mapping[str, Path]


class Known(NamedTuple):
    """Relevances of one image for its own class."""

    y: float
    ablation: dict[int, float]  # by unit


def recorded_images(files: Recorded, images: pd.DataFrame) -> list[dict[str, Any]]:
    """One record per image, by number, as `relevances.image_records` makes them; "r" has known prompts only.

    images : split, image_id and class_id by number. Raises RelianceError if the files do not belong together.
    """
    records, prompts = empty_records(images), read_prompts(files.text)
    for split, path in files.embeddings.items():
        own = images[images["split"] == split]
        if own.empty:
            continue
        stored, codes = Embeddings(path), open_codes(files.codes[split])
        _check(files, prompts, stored, codes, split)
        known = known_of(files, own) if split == "train" else {}
        for start in range(0, len(own), _STEP):
            part = own.iloc[start : start + _STEP]
            for number, found in _part(part, prompts, stored, codes, known):
                records[number].update(found)
    return records


def known_of(files: Recorded, images: pd.DataFrame) -> dict[int, Known]:
    """What the pipeline computed of training images, by image_id."""
    wanted = {"image_id": images["image_id"].tolist()}
    outputs, made = rows_where(files.outputs, OUTPUTS, wanted, ["image_id", "y"])
    rows, stamp = rows_where(files.attributions, ATTRIBUTIONS, wanted, ["image_id", "component", "ablation"])
    check_same("attributions", (files.outputs, made.inputs["attributions"]), (files.attributions, stamp.id))
    y = dict(zip(outputs["image_id"].tolist(), outputs["y"].tolist(), strict=True))
    found = {image_id: Known(value, {}) for image_id, value in y.items()}
    for image_id, unit, value in rows.itertuples(index=False, name=None):
        found[image_id].ablation[int(unit)] = float(value)
    return found


def _check(files: Recorded, prompts: Prompts, stored: Embeddings, codes: Codes, split: str) -> None:
    """Raise RelianceError unless all is of one model, of the same images and codes."""
    weights = stored.path, stored.stamp.inputs["weights"]
    check_same("encoder weights", (files.text, prompts.stamp.inputs["weights"]), weights)
    check_same("embeddings", (codes.path, codes.stamp.inputs["embeddings"]), (stored.path, stored.stamp.id))
    if split == "train":
        made = read_stamp(files.attributions).inputs["codes"]
        check_same("codes", (files.attributions, made), (codes.path, codes.stamp.id))


def _part(
    images: pd.DataFrame, prompts: Prompts, stored: Embeddings, codes: Codes, known: Mapping[int, Known]
) -> list[tuple[int, dict[str, Any]]]:
    """(number, what to add to its record) of every image that could be embedded."""
    rows = images["image_id"].to_numpy()
    valid = stored.take("valid", rows).astype(bool)
    images, rows = images[valid], rows[valid]
    z = stored.z_of(rows)
    length = np.linalg.norm(z, axis=1, keepdims=True)
    y = (z / np.where(length > 0, length, 1)) @ prompts.vectors.T
    order = np.argsort(-y, axis=1, kind="stable")[:, :CLASSES]
    values, indices = codes_at(codes, rows)
    found = []
    for i, (number, image_id, class_id) in enumerate(
        zip(images.index.tolist(), rows.tolist(), images["class_id"].tolist(), strict=True)
    ):
        top = [[int(prompts.class_ids[c]), *scaled([y[i, c]], 1e4)] for c in order[i]]
        listed = _units(values[i], indices[i], class_id, known.get(image_id))
        found.append((number, {"top": top, **listed}))
    return found


def _units(values: np.ndarray, indices: np.ndarray, class_id: int, known: Known | None) -> dict[str, Any]:
    """The units that matter most for the own class where that is known, else the most active ones."""
    active = np.flatnonzero(values != 0)
    relevance = [known.ablation[int(unit)] for unit in indices[active]] if known else values[active]
    kept = active[np.sort(np.argsort(-np.abs(relevance), kind="stable")[:UNITS])]
    kept = kept[np.argsort(-np.abs(values[kept]), kind="stable")]
    own: dict[str, list[int | None]] = {}
    if known:
        effects = [known.ablation[int(unit)] for unit in indices[kept]]
        own = {str(class_id): [*scaled([known.y], 1e4), *scaled(effects, 1e5)]}
    return {"u": indices[kept].tolist(), "a": scaled(values[kept], 100), "r": own}
