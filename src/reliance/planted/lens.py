"""Stage `lens_truth`: what a neuron's strongest images have in common, as drawn, and whether names say it.

A factor is a thing, a written word or a background. Of each neuron's strongest images the factor that most
share is taken, over how common it is: share - share over all images. `things` counts the factors that it
takes to cover four fifths of the images, taken greedily: a neuron with one is about one thing.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.artifacts import read_table, write_table
from reliance.images.tables import CLASSES
from reliance.lens.directions import TOPS
from reliance.lens.neurons import NEURONS, strongest_of
from reliance.lens.schema import LENS_TRUTH
from reliance.planted.table import TRUTH

COVERED = 0.8


def lens_truth(
    *, neurons: Path, tops: Path, truth: Path, classes: Path, scored: Path, top_n: int = 20
) -> None:
    """Hold the names of neurons against what was drawn, as LENS_TRUTH."""
    table, top = read_table(neurons, NEURONS), read_table(tops, TOPS)
    drawn, known = read_table(truth, TRUTH), read_table(classes, CLASSES)
    pictures = drawn.frame[drawn.frame["split"] == "train"].sort_values("image_id")
    has, names = factors(pictures, known.frame)
    chosen = strongest_of(top.frame, top_n)
    rows = []
    for neuron, label, word in table.frame[["component", "label", "word"]].itertuples(index=False):
        own = has[chosen.image_id[chosen.component == neuron]]
        factor = _most_shared(own, has)
        said_by = names[factor][1] if factor >= 0 else set()
        rows.append(
            {
                "component": neuron,
                "images": len(own),
                "factor": names[factor][0] if factor >= 0 else "",
                "share": own[:, factor].mean() if factor >= 0 else np.nan,
                "base": has[:, factor].mean() if factor >= 0 else np.nan,
                "things": needed(own),
                "named": label in said_by,
                "worded": word in said_by,
            }
        )
    inputs = {"neurons": table.stamp.id, "tops": top.stamp.id, "truth": drawn.stamp.id}
    frame = pd.DataFrame(rows, columns=[name for name, _ in LENS_TRUTH.columns])
    write_table(scored, frame, LENS_TRUTH, {"top_n": top_n}, inputs)


def factors(truth: pd.DataFrame, classes: pd.DataFrame) -> tuple[np.ndarray, list[tuple[str, set[str]]]]:
    """(bool [images, factors], what each is called and what names say it)."""
    own = dict(zip(classes["short_name"], classes["definition"], strict=True))
    columns, names = [], []
    for kind in ("object", "word", "background"):
        for value in sorted(set(truth[kind]) - {""}):
            columns.append(truth[kind].to_numpy() == value)
            said = {f"the written word {value}"} if kind == "word" else {value, own.get(value, value)}
            names.append((f"{kind}:{value}", said))
    return np.stack(columns, 1), names


def needed(own: np.ndarray) -> int:
    """Factors that cover four fifths of images [n, f], taken greedily; 0 without images."""
    left, count = own, 0
    while len(own) and len(left) > (1 - COVERED) * len(own):
        left = left[~left[:, left.sum(0).argmax()]]
        count += 1
    return count


def _most_shared(own: np.ndarray, every: np.ndarray) -> int:
    return int((own.mean(0) - every.mean(0)).argmax()) if len(own) else -1
