"""Stage `lens_attribute_truth`: whether the words of an image say what was drawn on it (V5).

For the thing, the written word and the background of each recorded test picture: whether one of its words is
a name of it. By chance is the same with the words of another picture, each picture's in turn: how often they
are right because they are said of many pictures.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import read_table, write_table
from reliance.images.tables import CLASSES
from reliance.lens.attributes import ATTRIBUTES
from reliance.lens.schema import ATTRIBUTE_TRUTH
from reliance.planted.lens import factors
from reliance.planted.table import TRUTH


def lens_attribute_truth(*, attributes: Path, truth: Path, classes: Path, scored: Path) -> None:
    """Hold the words of test pictures against what was drawn, as ATTRIBUTE_TRUTH."""
    said = read_table(attributes, ATTRIBUTES)
    drawn, known = read_table(truth, TRUTH), read_table(classes, CLASSES)
    pictures = drawn.frame[drawn.frame["split"] == "test"].sort_values("image_id")
    frame = compared(said.frame, pictures, known.frame)
    inputs = {"attributes": said.stamp.id, "truth": drawn.stamp.id, "classes": known.stamp.id}
    write_table(scored, frame, ATTRIBUTE_TRUTH, {}, inputs)


def compared(said: pd.DataFrame, pictures: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """A row per kind of thing that is drawn, as ATTRIBUTE_TRUTH."""
    has, names = factors(pictures, classes)
    spoken: dict[int, set[str]] = {}
    for image_id, word in zip(said["image_id"].tolist(), said["word"], strict=True):
        spoken.setdefault(image_id, set()).add(word)
    ids = np.array(sorted(spoken), np.int64)
    says = np.array([[bool(called & spoken[i]) for _, called in names] for i in ids.tolist()], bool)
    says = says.reshape(len(ids), len(names))
    kinds = np.array([name.partition(":")[0] for name, _ in names])
    rows = []
    for kind in dict.fromkeys(kinds.tolist()):
        own = kinds == kind
        there, told = has[ids][:, own], says[:, own]
        drawn = there.any(1)
        hits = (there & told).any(1)[drawn]
        others = told.sum(0)[None] - told[drawn]  # how many other pictures say each
        by_chance = (there[drawn] * others).sum(1) / max(1, len(ids) - 1)
        rows.append((kind, int(drawn.sum()), hits.mean() if drawn.any() else np.nan, _mean(by_chance)))
    return pd.DataFrame(rows, columns=[name for name, _ in ATTRIBUTE_TRUTH.columns])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
