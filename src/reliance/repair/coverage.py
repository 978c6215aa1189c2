"""How much of what scores like a class and is not of it the listed cases explain, and what is left.

A high-confidence image of another class is explained by a case of the class if it is one of its images, or
if its output falls to the line of high confidence once the case's carriers are removed from it. Removing
units lowers outputs anyhow: beside it stands the share that falls as low without as many other units,
drawn at random. Of the others, some look like the images of a case (`repair.alike`), some show what the
class itself relies on (`repair.shared`). What is left then is clustered by the labeller's embeddings, with
words and typical images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.encoders.stored import Embeddings
from reliance.encoders.text import TEXT
from reliance.failures.neighbours import unit_rows
from reliance.images.tables import CLASSES
from reliance.naming.table import COMPONENTS
from reliance.repair.alike import Looks
from reliance.repair.cases import words_known
from reliance.repair.pictures import Vocabulary, classes_of, clusters, words_of
from reliance.repair.scene import Scene
from reliance.repair.schema import ACCOUNTED, COVERAGE, LEFT, SHARED, UNEXPLAINED, WAYS
from reliance.repair.shared import Feature, Features, at_random

SIZE, MOST_CLUSTERS, EXAMPLES = 10, 4, 12  # images of a cluster on average at least; clusters; images shown


class CoverageFiles(NamedTuple):
    """What the cases explain, and what is left."""

    coverage: Path
    accounted: Path
    shared: Path
    unexplained: Path


class Labeller(NamedTuple):
    """What the labeller sees in images, and what things are called."""

    labels: Path
    vocabulary: Path
    classes: Path
    components: Path  # names of units


class Named(NamedTuple):
    """What images show, in words."""

    embeddings: Embeddings  # of the labeller
    words: Vocabulary
    classes: Mapping[int, str]
    units: Mapping[int, str]


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
    mined: tuple[pd.DataFrame, Sequence[np.ndarray]],
    seen: Labeller,
    files: CoverageFiles,
    stamped: tuple[Mapping[str, Any], Mapping[str, str]],
) -> None:
    """Write COVERAGE, ACCOUNTED, SHARED and UNEXPLAINED.

    mined : CONFIDENT, and the units of each family. stamped : params and ids of what is written.
    """
    embeddings = Embeddings(seen.labels)
    indexed = (seen.labels, embeddings.stamp.inputs["index"])
    check_same("image index", indexed, ("the embeddings", scene.inputs.ids["index"]))
    vocabulary, words_stamp = read_table(seen.vocabulary, TEXT)
    names, names_stamp = read_table(seen.classes, CLASSES, columns=["class_id", "short_name"])
    short = dict(zip(names["class_id"].tolist(), names["short_name"], strict=True))
    components = read_table(seen.components, COMPONENTS, columns=["component", "label"])
    check_same(
        "codes", (seen.components, components.stamp.inputs["codes"]), ("the scene", scene.inputs.ids["codes"])
    )
    labels = components.frame["label"].fillna("")
    units = dict(zip(components.frame["component"].tolist(), labels, strict=True))
    named = Named(embeddings, words_known(vocabulary, embeddings), short, units)
    features, looks = Features(scene, mined[1]), Looks(embeddings, scene.ids)
    rows, shared, left = [], list[tuple[object, ...]](), list[tuple[object, ...]]()
    images = list[pd.DataFrame]()
    for key, own in mined[0].groupby("class_id"):
        class_id, places = int(str(key)), scene.places(own["image_id"].to_numpy())
        row = scene.row_of(class_id)
        line = _line(scene, row, float(stamped[0]["confidence_std"]))
        of_class = [case for case in cases if case.row == row]
        listed, explained, chance = explained_by(scene, of_class, row, places, line)
        like, just_below = alike_by(scene, looks, of_class, row, places)
        alike = like & ~explained
        known = explained | alike
        found = features.of_class(row, places[known], places[~known], line, SIZE)
        sharing = np.isin(places, np.concatenate([np.zeros(0, np.int64), *(f.places for f in found)]))
        counts = [int(part.sum()) for part in (listed, explained, alike, sharing)]
        rows.append((class_id, len(places), *counts[:2], chance, counts[2], just_below, counts[3]))
        how = np.select([listed, explained, alike, sharing], WAYS, LEFT)
        images.append(pd.DataFrame({"class_id": class_id, "image_id": scene.ids[places], "how": how}))
        shared += [_feature(class_id, i, feature, features, named) for i, feature in enumerate(found)]
        left += _described(class_id, scene.ids[places[~known & ~sharing]], scene, named)
    params, ids = stamped
    ids = {**ids, "labels": embeddings.stamp.id, "vocabulary": words_stamp.id, "classes": names_stamp.id}
    ids["components"] = components.stamp.id
    own_id = {"coverage": write_table(files.coverage, _table(rows, COVERAGE), COVERAGE, params, ids).id}
    write_table(files.accounted, pd.concat([_table([], ACCOUNTED), *images]), ACCOUNTED, {}, own_id)
    write_table(files.shared, _table(shared, SHARED), SHARED, {}, own_id)
    write_table(files.unexplained, _table(left, UNEXPLAINED), UNEXPLAINED, {}, own_id)


def _table(rows: Sequence[tuple[object, ...]], spec: TableSpec) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[name for name, _ in spec.columns])


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


def alike_by(
    scene: Scene, looks: Looks, cases: Sequence[Carried], row: int, places: np.ndarray
) -> tuple[np.ndarray, float]:
    """(whether images at `places` of a class look like one of its cases bool [n], share of as many below).

    Those below are the images of other classes that are nearest to the line.
    """
    below = np.setdiff1d(np.flatnonzero(scene.label != row), places, assume_unique=True)
    like = looks.like([case.places for case in cases], below)
    nearest = np.argsort(-scene.outputs(scene.text[row])[below], kind="stable")[: len(places)]
    return like[places], float(like[below[nearest]].mean()) if len(nearest) else 0.0


def _at_random(scene: Scene, case: Carried, places: np.ndarray) -> np.ndarray:
    """Unit embeddings [n, p] without as many other active units as there are carriers active in an image."""
    values, indices = (part[places] for part in scene.active)
    taken = np.where(at_random(values, np.isin(indices, case.units), case.row), values, 0)
    return scene.moved(places, -np.einsum("nk,nkd->nd", taken, scene.inputs.units.directions[indices]))


def _line(scene: Scene, row: int, confidence_std: float) -> float:
    own = scene.outputs(scene.text[row])[scene.label == row].astype(np.float64)
    return float(own.mean() - confidence_std * own.std(ddof=1))


def _feature(
    class_id: int, rank: int, feature: Feature, features: Features, named: Named
) -> tuple[object, ...]:
    """A row of SHARED."""
    units = features.units(feature.component)
    values, indices = (part[feature.places] for part in features.scene.active)
    on = [float(values[indices == j].sum()) for j in units]
    strongest = [named.units.get(int(units[i]), "") for i in np.argsort(-np.array(on), kind="stable")]
    label = " / ".join(list(dict.fromkeys(filter(None, strongest)))[:2])
    images = features.scene.ids[feature.places]
    unit = unit_rows(named.embeddings, images)
    numbers = (len(images), feature.own, feature.usual, feature.p, feature.by_chance)
    about = (class_id, rank + 1, feature.component, label, *numbers)
    return (*about, *_seen(images, unit, features.scene, named))


def _described(class_id: int, images: np.ndarray, scene: Scene, named: Named) -> list[tuple[object, ...]]:
    """Rows of UNEXPLAINED for the images of a class that nothing explains."""
    if not len(images):
        return []
    unit = unit_rows(named.embeddings, images)
    part = clusters(unit, max(1, min(MOST_CLUSTERS, len(images) // SIZE)))
    found = [(i, np.flatnonzero(part == i)) for i in np.unique(part)]
    return [
        (class_id, int(i), len(chosen), *_seen(images[chosen], unit[chosen], scene, named))
        for i, chosen in found
    ]


def _seen(
    images: np.ndarray, unit: np.ndarray, scene: Scene, named: Named
) -> tuple[list[str], list[str], list[str]]:
    """Classes and words of images with unit embeddings [n, p], and the most typical ones."""
    labels = scene.inputs.class_ids[scene.inputs.labels[images]]
    typical = np.argsort(-(unit @ unit.mean(axis=0)), kind="stable")[:EXAMPLES]
    described = classes_of(labels, named.classes), words_of(unit, named.words)
    return (*described, [str(j) for j in images[typical]])
