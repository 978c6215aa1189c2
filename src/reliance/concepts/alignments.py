"""Stage `alignment_baseline`: how well the names of classes align with the classes' own images (Fig. 4 c).

xbar_c = mean of the labeller's embeddings of the images of class c, not normalised
s(t_c) = cos(xbar_c, t_c) - cos(xbar_c, t_empty)                                                   (Eq. 2)

This is what the alignment of a component with its label is held against.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.base.artifacts import check_same, write_table
from reliance.base.errors import RelianceError, make_again
from reliance.codes.top_samples import Top
from reliance.concepts.schema import ALIGNMENTS
from reliance.encoders.stored import Embeddings
from reliance.images.tables import SplitRows, read_split
from reliance.naming.names import align, pool_top, read_vocabulary


def alignment_baseline(
    *,
    index: Path,
    labels: Path,
    names: Path,
    vocabulary: Path,
    alignments: Path,
    split: str = "test",
    block_rows: int = 16384,
) -> None:
    """Write the alignment of every class that has images in a split with its own name, as ALIGNMENTS.

    labels : the labeller's embeddings of the split.
    names : the labeller's text vectors of the names of classes. vocabulary : for its empty prompt.
    Unreadable images and images without a class are left out.
    Raises RelianceError if the inputs do not belong together, or a class of the images has no name.
    """
    rows, images, prompts = read_split(index, split), Embeddings(labels), read_prompts(names)
    words, words_stamp = read_vocabulary(vocabulary)
    weights = (labels, images.stamp.inputs["weights"])
    check_same("labeller weights", (names, prompts.stamp.inputs["weights"]), weights)
    check_same("labeller weights", (vocabulary, words_stamp.inputs["weights"]), weights)
    check_same("image index", (labels, images.stamp.inputs["index"]), (index, rows.stamp.id))
    _check_split(images, index, split, len(rows.class_ids))
    inputs = {"index": rows.stamp.id, "labels": images.stamp.id, "names": prompts.stamp.id}
    labelled = np.flatnonzero(rows.class_ids >= 0)
    class_row = _class_rows(rows, prompts, names)[labelled]
    everything = Top(class_row, class_row, labelled, np.ones(len(labelled)))  # every image of a class
    pooled = pool_top(everything, len(prompts.class_ids), images.z, images.rows, block_rows)
    seen = np.flatnonzero(pooled.n)
    columns = {
        "class_id": prompts.class_ids[seen],
        "n": pooled.n[seen],
        "alignment": align(pooled.mean[seen], prompts.vectors[seen], words.empty),
    }
    inputs = {**inputs, "vocabulary": words_stamp.id}
    write_table(alignments, pd.DataFrame(columns), ALIGNMENTS, {"split": split}, inputs)


def _check_split(images: Embeddings, index: Path, split: str, rows: int) -> None:
    found, expected = (images.stamp.params["split"], images.rows), (split, rows)
    if found != expected:
        raise RelianceError(
            images.path,
            f"it must hold the images of the split that is asked for, as listed in {index}",
            found=f"{found[1]} rows of split '{found[0]}'",
            allowed=f"{rows} rows of split '{split}'",
            next_step="embeddings of another split were given: check which manifest the rule names",
        )


def _class_rows(rows: SplitRows, prompts: Prompts, names: Path) -> np.ndarray:
    """Row in `prompts` of the class of every image, int64 [N]; 0 for images without a class."""
    class_ids = np.where(rows.class_ids >= 0, rows.class_ids, prompts.class_ids[0])
    found = np.searchsorted(prompts.class_ids, class_ids).clip(max=len(prompts.class_ids) - 1)
    missing = np.unique(class_ids[prompts.class_ids[found] != class_ids])
    if len(missing):
        raise RelianceError(
            names,
            "every class of the images has a name",
            found=f"none for {len(missing)} classes, the first {missing[:5].tolist()}",
            allowed="one text vector per class of the index",
            next_step=f"the names are of another list of classes: {make_again(names)}",
        )
    return found
