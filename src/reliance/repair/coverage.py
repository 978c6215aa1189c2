"""How much of what scores like a class and is not of it the listed cases explain, and what is left.

A high-confidence image of another class is explained by a case of the class if it is one of its images, or
if its output falls to the line of high confidence once the case's carriers are removed from it. Removing
units lowers outputs anyhow: beside it stands the share that falls as low without as many other units,
drawn at random. What is left is clustered by the labeller's embeddings, with words and typical images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same, read_table, write_table
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT
from reliance.failures.neighbours import unit_rows
from reliance.images.tables import CLASSES
from reliance.repair.cases import words_known
from reliance.repair.pictures import classes_of, clusters, words_of
from reliance.repair.scene import Scene
from reliance.repair.schema import COVERAGE, UNEXPLAINED

SIZE, MOST_CLUSTERS, EXAMPLES = 10, 4, 12  # images of a cluster on average at least; clusters; images shown


class CoverageFiles(NamedTuple):
    """What the cases explain, and what is left."""

    coverage: Path
    unexplained: Path


class Labeller(NamedTuple):
    """What the labeller sees in images, and what things are called."""

    labels: Path
    vocabulary: Path
    classes: Path


class Carried(Protocol):
    """A case in a scene."""

    @property
    def row(self) -> int:
        """Of its class."""

    @property
    def units(self) -> np.ndarray:
        """Its carriers."""

    @property
    def places(self) -> np.ndarray:
        """Of its images in the scene."""


def cover(
    scene: Scene,
    cases: Sequence[Carried],
    confident: pd.DataFrame,
    seen: Labeller,
    files: CoverageFiles,
    stamped: tuple[Mapping[str, Any], Mapping[str, str]],
) -> None:
    """Write COVERAGE and UNEXPLAINED. confident : CONFIDENT. stamped : params and ids of what is written."""
    embeddings = Embeddings(seen.labels)
    images = (seen.labels, embeddings.stamp.inputs["index"])
    check_same("image index", images, ("the embeddings", scene.inputs.ids["index"]))
    vocabulary, words_stamp = read_table(seen.vocabulary, TEXT)
    names, names_stamp = read_table(seen.classes, CLASSES, columns=["class_id", "short_name"])
    short = dict(zip(names["class_id"].tolist(), names["short_name"], strict=True))
    words = words_known(vocabulary, embeddings)
    rows, left = [], []
    for class_id, own in confident.groupby("class_id"):
        row = scene.row_of(int(str(class_id)))
        places = scene.places(own["image_id"].to_numpy())
        line = _line(scene, row, float(stamped[0]["confidence_std"]))
        of_class = [case for case in cases if case.row == row]
        listed, explained, chance = explained_by(scene, of_class, row, places, line)
        rows.append((class_id, len(places), int(listed.sum()), int(explained.sum()), chance))
        rest = scene.ids[places[~explained]]
        left += _described(int(str(class_id)), rest, embeddings, scene, (words, short))
    params, ids = stamped
    ids = {**ids, "labels": embeddings.stamp.id, "vocabulary": words_stamp.id, "classes": names_stamp.id}
    frame = pd.DataFrame(rows, columns=[name for name, _ in COVERAGE.columns])
    stamp = write_table(files.coverage, frame, COVERAGE, params, ids)
    rest_frame = pd.DataFrame(left, columns=[name for name, _ in UNEXPLAINED.columns])
    write_table(files.unexplained, rest_frame, UNEXPLAINED, {}, {"coverage": stamp.id})


def explained_by(
    scene: Scene, cases: Sequence[Carried], row: int, places: np.ndarray, line: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """(listed bool [n], explained bool [n], share explained by chance) of images at `places` of a class."""
    listed, fallen, by_chance = (np.zeros(len(places), bool) for _ in range(3))
    for case in cases:
        vector = scene.text[row].astype(np.float32)
        listed |= np.isin(places, case.places)
        fallen |= scene.without(case.units, vector)[places] <= line
        by_chance |= _at_random(scene, case, places) @ vector <= line
    share = float(by_chance.mean()) if len(places) else 0.0
    return listed, listed | fallen, share


def _at_random(scene: Scene, case: Carried, places: np.ndarray) -> np.ndarray:
    """Unit embeddings [n, p] without as many other active units as there are carriers active in an image."""
    values, indices = (part[places] for part in scene.active)
    carried = np.isin(indices, case.units) & (values != 0)
    keys = np.random.default_rng([case.row, len(places)]).random(values.shape)
    keys[carried | (values == 0)] = 2  # last, and never taken
    rank = np.argsort(np.argsort(keys, axis=1), axis=1)
    taken = np.where((rank < carried.sum(axis=1)[:, None]) & (keys < 2), values, 0)
    return scene.moved(places, -np.einsum("nk,nkd->nd", taken, scene.inputs.units.directions[indices]))


def _line(scene: Scene, row: int, confidence_std: float) -> float:
    own = scene.outputs(scene.text[row])[scene.label == row].astype(np.float64)
    return float(own.mean() - confidence_std * own.std(ddof=1))


def _described(
    class_id: int,
    images: np.ndarray,
    embeddings: Embeddings,
    scene: Scene,
    named: tuple[Any, Mapping[int, str]],
) -> list[tuple[object, ...]]:
    """Rows of UNEXPLAINED for the images of a class that no case explains."""
    if not len(images):
        return []
    unit = unit_rows(embeddings, images)
    part = clusters(unit, max(1, min(MOST_CLUSTERS, len(images) // SIZE)))
    labels = scene.inputs.class_ids[scene.inputs.labels[images]]
    found: list[tuple[object, ...]] = []
    for i in np.unique(part):
        chosen = np.flatnonzero(part == i)
        centre = unit[chosen].mean(axis=0)
        typical = chosen[np.argsort(-(unit[chosen] @ centre), kind="stable")[:EXAMPLES]]
        described = classes_of(labels[chosen], named[1]), words_of(unit[chosen], named[0])
        found.append((class_id, int(i), len(chosen), *described, [str(j) for j in images[typical]]))
    return found
