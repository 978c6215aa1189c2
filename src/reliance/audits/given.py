"""The plain probe of an audit that was not trained here: the log-odds of a classifier's two classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliance.base.artifacts import check_same
from reliance.base.linear_file import Linear
from reliance.images.heads import check_sides
from reliance.robustness.probes import load_probe


class Given(NamedTuple):
    """Log-odds of the positive class = weight . (scale z/|z|) + bias, or of z itself."""

    weight: np.ndarray  # [p] float32, for the scale of the audit
    bias: float
    raw: bool  # of scale z
    name: str  # of its file
    ids: dict[str, str]


def open_given(probe: Path, split: Mapping[str, Any], scale: float, index: tuple[Path, str]) -> Given:
    """The log-odds of an audit's two sides, from what `take_probe` wrote.

    split : settings of the audit's split, with the ids of its classes. scale : of the audit's probes.
    index : file and id of the images that are audited.

    A single row is the log-odds of the positive side; of several, the two classes' difference. Raises
    RelianceError for a probe of other images, or sides of several classes.
    """
    found, stamp = load_probe(probe)
    check_same("index", (probe, stamp.inputs["index"]), index)
    positive, negative = split["positive"], split["negative"]
    check_sides(Linear(found.weight, found.bias), positive, negative)
    weight, bias = found.weight[0], found.bias[0]
    if len(found.weight) > 1:
        rows = {class_id: row for row, class_id in enumerate(stamp.params["rows"])}
        own = rows.pop(positive[0])
        other = rows[negative[0]] if negative else next(iter(rows.values()))
        weight, bias = found.weight[own] - found.weight[other], found.bias[own] - found.bias[other]
    weight = (weight * (found.scale / scale)).astype(np.float32)
    ids = {"given": stamp.id}
    return Given(weight, float(bias), not found.normalised, str(stamp.params["given"]), ids)
