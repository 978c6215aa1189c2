"""A linear classifier that somebody else trained takes the place of the probe that is trained here."""

import logging
from pathlib import Path

from reliance.base.artifacts import Stamp, read_table
from reliance.base.linear_file import read_linear
from reliance.encoders.stored import Embeddings
from reliance.images.heads import check_width, in_order
from reliance.images.tables import CLASSES
from reliance.robustness.probes import LOGISTIC, Fit, save_probe

log = logging.getLogger(__name__)


def take_probe(
    *,
    file: Path,
    classes: Path,
    embeddings: Path,
    probe: Path,
    normalised: bool = True,
    scale: float = 1.0,
    kind: str = LOGISTIC,
) -> Stamp:
    """Stage: a classifier's file as a probe, with a row for each class by id, or with its single row.

    Parameters
    ----------
    file : see `read_linear`. classes, embeddings : of the data set, and the manifest of a split of it.
    probe : output. normalised, scale : the output is W (scale z/|z|) + b, or W (scale z) + b.
    kind : LOGISTIC if outputs are logits, RIDGE if each is a score of its own.

    Raises RelianceError if its rows are not the classes, or as wide as an image embedding.
    """
    read, parts, named = read_linear(file), Embeddings(embeddings), read_table(classes, CLASSES)
    linear = in_order(file, read, classes, named.frame)
    check_width(file, linear.weight.shape[1], parts.width, parts.layouts["x"].shape[0])
    inputs = parts.stamp.inputs
    ids = {"index": inputs["index"], "embeddings": parts.stamp.id, "weights": inputs["weights"]}
    ids["classes"] = named.stamp.id
    rows = sorted(named.frame["class_id"].tolist()) if len(linear.weight) > 1 else []
    params = {"given": Path(file).name, "scale": scale, "normalised": normalised, "kind": kind, "rows": rows}
    log.info("%s: %d rows of width %d", file, *linear.weight.shape)
    return save_probe(
        probe, Fit(linear.weight, linear.bias, 0, ()), params, {**ids, "classes": named.stamp.id}
    )
