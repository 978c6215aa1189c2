"""A linear classifier of others held against the classes of a data set, by name where its file has names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.base.errors import RelianceError
from reliance.base.linear_file import Linear
from reliance.images.lookup import class_ids, listed

KEY = "audit.probe"


def in_order(path: Path | str, linear: Linear, table: Path, classes: pd.DataFrame) -> Linear:
    """The classifier with a row for each class of a data set, by class id; one with a single row as it is.

    path : its file. table, classes : rows of CLASSES, and where they were read. Without names, rows are in
    the order of the ids. Raises RelianceError if there are not as many rows as classes, or for a name that is
    no class.
    """
    rows, known = len(linear.weight), len(classes)
    if rows == 1 and not linear.classes:
        return linear
    if rows != known:
        raise RelianceError(
            KEY,
            "a classifier has one row for each class of the data set, or a single row",
            found=f"{rows} rows in {path}, and {known} classes in {table}",
            allowed=f"{known} rows, in the order of the folders or with `classes`; or one row, which speaks "
            "for audit.positive",
            next_step="take the rows of these classes, or the data set that it was trained for. The classes "
            f"are {listed(classes)}",
        )
    if not linear.classes:
        return linear
    ids = [
        next(iter(class_ids(table, classes, [name], f"{KEY}, `classes` in {path}")))
        for name in linear.classes
    ]
    if len(set(ids)) < known:
        raise RelianceError(
            KEY,
            "each class of the data set has one row of the classifier",
            found=f"two rows for one class among {', '.join(linear.classes[:8])}",
            allowed=listed(classes),
            next_step=f"correct `classes` in {path}",
        )
    order = np.argsort(ids)
    return Linear(linear.weight[order], linear.bias[order], tuple(linear.classes[i] for i in order))


def check_sides(linear: Linear, positive: Sequence[object], negative: Sequence[object] | None) -> None:
    """Raise RelianceError unless the log-odds of an audit's two sides are linear.

    linear : from `in_order`. positive, negative : the classes of the audit; none: there is no audit.
    """
    rows = len(linear.weight)
    two = len(positive) == 1 and (rows == 2 if negative is None else len(negative) == 1)
    if not positive or rows == 1 or two:
        return
    raise RelianceError(
        "audit.positive, audit.negative",
        "log-odds of two classes of a classifier are linear, those of groups of classes are not",
        found=f"{len(positive)} positive and {'all other' if negative is None else len(negative)} classes "
        f"of {rows}",
        allowed="one class on either side; any, if the classifier has a single row",
        next_step="name one class as audit.positive and one as audit.negative, or leave both out: then the "
        "classifier stands in Figs. 5 and 14 alone",
    )


def check_width(file: Path | str, found: int, p: int, d: int | None = None) -> None:
    """Raise RelianceError unless the rows of a classifier are as wide as the image embedding, p.

    d : width of what is read at the variant's site, if it is known.
    """
    if found == p:
        return
    of_x = " (the width of x at this site; a classifier is of the image embedding z)" if found == d else ""
    raise RelianceError(
        KEY,
        "the rows of a classifier are as wide as the image embeddings of the encoder",
        found=f"rows of {found} numbers in {file}, and image embeddings of {p}{of_x}",
        allowed=f"weight [C, {p}]",
        next_step="name the encoder that it was trained on (the weights, too: embeddings of another training "
        "mean something else, even where the width fits), or another classifier",
    )
