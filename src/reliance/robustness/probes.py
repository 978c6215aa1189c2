"""The linear probe that text prompts are compared with (App. D.2).

Of one of two kinds, both linear in scaled unit image embeddings, output = W (s z/|z|) + b with
z [p] image embedding, W [C, p], b [C], s = `scale`, c the inverse regularisation:

    logistic   multinomial logistic regression,  minimising  c sum_i CE(output_i, class_i) + |W|^2 / 2
    ridge      linear regression on one-hot classes y_i,     c sum_i |output_i - y_i|^2 + |W|^2

Unit embeddings are small (|z_k| of order 1/sqrt(p)), so without s the penalty would rule. With two
classes a logistic probe has one weight vector w; it is stored as the rows -w/2 and w/2, whose
difference of logits is the same. `scores` says what an image's score for a class is.
"""

import logging
import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    check_kind,
    content_stamp,
    hash_arrays,
    read_table,
    unreadable,
)
from reliance.base.errors import RelianceError
from reliance.base.finite import all_finite
from reliance.base.tensors import write_tensors
from reliance.images.tables import INDEX
from reliance.robustness.inputs import Embedded, open_split, unit_blocks

log = logging.getLogger(__name__)
KIND, SCHEMA = "probe", 2
LOGISTIC, RIDGE = "logistic", "ridge"


class Probe(NamedTuple):
    """A linear classifier: output = weight . (scale z/|z|) + bias."""

    weight: np.ndarray  # [C, p] float32, row = class id
    bias: np.ndarray  # [C] float32
    scale: float
    kind: str  # LOGISTIC: outputs are logits; RIDGE: outputs estimate the share of each class
    normalised: bool = True  # False, of a given one: the output is of scale z instead


class Fit(NamedTuple):
    """What the solver returned."""

    weight: np.ndarray  # [C, p] float32
    bias: np.ndarray  # [C] float32
    iterations: int
    warnings: tuple[str, ...]  # what the solver complained about; empty if it converged


def fit_probe(
    *,
    index: Path,
    embeddings: Path,
    probe: Path,
    split: str = "test",
    kind: str = LOGISTIC,
    scale: float = 10.0,
    c: float = 1.0,
    max_iter: int = 2000,
    tolerance: float = 1e-6,
    block_rows: int = 8192,
    threads: int = 1,
) -> Stamp:
    """Stage: fit a probe on the readable, labelled images of a split.

    Parameters
    ----------
    index, embeddings : of one data set, and the split's manifest.
    probe : output.
    kind, scale, c : as above. max_iter, tolerance : of the logistic solver; it stops when no component
        of the gradient of the mean loss is above `tolerance`; ridge has a closed form. Neither has any
        randomness, so there is no seed.
    threads : of the linear algebra; another number changes the last digits.

    50,000 images, p = 768 and 1,000 classes need about 2 s per iteration on two cores and 1.1 GB.
    Raises RelianceError if a class of the data set has no image to learn from.
    """
    opened = open_split(index, embeddings, split)
    _check_classes(index, opened, split)
    features, labels = training_set(opened, scale, block_rows)
    with threadpool_limits(threads):
        if kind == RIDGE:
            fit = fit_ridge(features, labels, c=c, block_rows=block_rows)
        else:
            fit = fit_logistic(features, labels, c=c, max_iter=max_iter, tolerance=tolerance)
    params = {
        "split": split,
        "kind": kind,
        "scale": scale,
        "c": c,
        "max_iter": max_iter,
        "tolerance": tolerance,
    }
    accuracy = float(np.mean((features @ fit.weight.T + fit.bias).argmax(axis=1) == labels))
    log.info(
        "%d images, %d classes, %d iterations, accuracy %.3f on its own training images",
        *(len(labels), len(fit.bias), fit.iterations, accuracy),
    )
    return save_probe(probe, fit, params, opened.ids)


def training_set(opened: Embedded, scale: float, block_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features s z/|z| float32 [n, p] and labels int64 [n] of the labelled, readable images."""
    blocks = list(unit_blocks(opened.embeddings, opened.class_ids >= 0, block_rows))
    rows = np.concatenate([rows for rows, _ in blocks])
    features = np.concatenate([unit for _, unit in blocks]) * np.float32(scale)
    return features, opened.class_ids[rows].astype(np.int64)


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, *, c: float, max_iter: int, tolerance: float
) -> Fit:
    """Multinomial logistic regression by L-BFGS, from zero.

    Parameters
    ----------
    features : [n, p] float32. labels : [n], every class 0..C-1 present, C >= 2.

    A solver that stops early is logged as a warning and recorded in the result.
    """
    model = LogisticRegression(C=c, max_iter=max_iter, tol=tolerance)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(features, labels)
    complaints = tuple(str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning))
    for warning in caught:
        log.warning("probe: %s", warning.message)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return Fit(weight.astype(np.float32), bias.astype(np.float32), int(model.n_iter_.max()), complaints)


def fit_ridge(features: np.ndarray, labels: np.ndarray, *, c: float, block_rows: int) -> Fit:
    """Linear regression on one-hot classes with an intercept that is not penalised, in closed form.

    Parameters
    ----------
    features : [n, p] float32. labels : [n], every class 0..C-1 present. block_rows : bounds the memory.

    W = (X'X + I/c)^-1 X'Y over centred features X and one-hot classes Y, in float64.
    """
    classes, p = int(labels.max()) + 1, features.shape[1]
    centre = features.mean(axis=0, dtype=np.float64)
    share = np.bincount(labels, minlength=classes) / len(labels)
    gram, moment = np.eye(p) / c, np.zeros((p, classes))
    for start in range(0, len(features), block_rows):
        x = features[start : start + block_rows] - centre
        gram += x.T @ x
        y = labels[start : start + block_rows]
        for class_id in np.unique(y):  # one-hot targets need not be centred, because X is
            moment[:, class_id] += x[y == class_id].sum(axis=0)
    weight = np.linalg.solve(gram, moment).T
    return Fit(weight.astype(np.float32), (share - weight @ centre).astype(np.float32), 0, ())


def save_probe(
    path: str | os.PathLike[str], fit: Fit, params: dict[str, object], inputs: dict[str, str]
) -> Stamp:
    """Write a probe atomically; iterations and the solver's warnings lie in its metadata."""
    tensors = {"weight": np.ascontiguousarray(fit.weight), "bias": np.ascontiguousarray(fit.bias)}
    all_finite(path, tensors)
    stamp = content_stamp(KIND, SCHEMA, hash_arrays(tensors), params, inputs)
    metadata = {
        STAMP_KEY: stamp.to_json(),
        "iterations": str(fit.iterations),
        "converged": str(not fit.warnings).lower(),
        "warnings": "\n".join(fit.warnings),
    }
    write_tensors(Path(path), tensors, metadata)
    return stamp


def load_probe(path: str | os.PathLike[str]) -> tuple[Probe, Stamp]:
    """Read what `fit_probe` wrote; the stamp's inputs are index, embeddings and weights.

    Raises RelianceError if the file is missing, damaged, or another kind of artifact.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            stamp = Stamp.from_json((file.metadata() or {})[STAMP_KEY])
            check_kind(os.fspath(path), stamp, KIND, SCHEMA)
            tensors = {name: file.get_tensor(name) for name in ("weight", "bias")}
            if hash_arrays(tensors) != stamp.id:
                raise ValueError("its tensors are not those its stamp names")
            all_finite(path, tensors)
            said = stamp.params
            normalised = bool(said.get("normalised", True))
            return Probe(
                **tensors, scale=float(said["scale"]), kind=said["kind"], normalised=normalised
            ), stamp
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise unreadable(os.fspath(path), KIND, error) from error


def _check_classes(index: Path, opened: Embedded, split: str) -> None:
    """Raise RelianceError unless there are two classes or more and each has an image in the split."""
    everywhere = read_table(index, INDEX, columns=["class_id"]).frame["class_id"].to_numpy()
    n_classes = int(everywhere.max(initial=-1)) + 1
    counts = np.bincount(opened.class_ids[opened.class_ids >= 0], minlength=n_classes)
    absent = np.flatnonzero(counts == 0)
    if n_classes >= 2 and not len(absent):
        return
    found = (
        f"{len(absent)} of {n_classes} classes without one, first: class {absent[0]}" if len(absent) else ""
    )
    raise RelianceError(
        index,
        f"a linear probe learns from readable images of every class in split '{split}'",
        found=found or f"{n_classes} class(es)",
        allowed=f"at least two classes, each with an image in '{split}'",
        next_step=f"add images of this class to '{split}', or remove the class; excluded.parquet lists "
        "images that could not be read",
    )
