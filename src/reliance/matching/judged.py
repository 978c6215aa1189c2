"""Stage `judge_dictionary`: a dictionary on the test images, by what an audit needs of it.

Beside the SAE of a variant three that nobody trained are judged alike, with as many active units per image as
the SAE has: neurons and principal axes (the k largest coordinates of x - mean x), and the vocabulary itself
(as SpLiCE has it, Bhalla et al. 2024: the image embedding as a sum of k words with positive weights).

    kept        zero-shot accuracy of the reconstructed x by that of x itself
    absorption  mean over classes of the share of a class's images on which its main unit does not fire, while
                one that fires on little else does: a part of the concept has moved into a unit of its own
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same, derived_stamp, read_json, write_json
from reliance.encoders.head import Head, load_head, project
from reliance.encoders.stored import Embeddings
from reliance.matching.monosemanticity import monosemanticity
from reliance.naming.names import read_vocabulary
from reliance.robustness.inputs import open_split, unit
from reliance.robustness.zero_shot import credit
from reliance.units.axes import centre_of, covariance, principal_axes
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA, load_sae

KIND, SCHEMA = "judged_dictionary", 1
BASES = ("sae", "neurons", "pca", "vocabulary")
SPECIFIC = 0.5  # share of a unit's images that are of one class, from which it fires on little else
LEAST = 3  # images that such a unit fires on
_ROWS = 4096


class Dictionary(NamedTuple):
    """What is read of a dictionary, and of the images that it is judged on."""

    embeddings: Path  # of test
    fitted: Path  # embeddings of train: mean and axes
    labels: Path  # the labeller's embeddings of test
    index: Path  # type: ignore[assignment]  # instead of the method of tuples
    sae: Path
    quality: Path
    text: Path  # prompts of the classes
    words: Path  # the vocabulary by the encoder itself
    head: Path | None = None  # none: no closed form behind the site


class Coded(NamedTuple):
    """Images as a dictionary has them."""

    x: np.ndarray  # float32 [n, d]
    rebuilt: np.ndarray  # float32 [n, d]
    code: csr_array  # float32 [n, m]


def judge_dictionary(*, files: Dictionary, basis: str, judged: Path, images: int = 5000) -> None:
    """Write what a dictionary is worth on at most `images` labelled test images, evenly spaced (JSON).

    Numbers that cannot be had are null. Raises RelianceError for files that do not belong together.
    """
    opened = open_split(files.index, files.embeddings, "test")
    labelled = np.flatnonzero(opened.class_ids >= 0)
    rows = labelled[np.unique(np.linspace(0, len(labelled) - 1, min(images, len(labelled))).astype(int))]
    prompts = read_prompts(files.text)
    check_same(
        "weights", (files.text, prompts.stamp.inputs["weights"]), (files.embeddings, opened.ids["weights"])
    )
    classes = np.searchsorted(prompts.class_ids, opened.class_ids[rows])
    quality, stamp = read_json(files.quality, QUALITY_KIND, QUALITY_SCHEMA)
    coded = code_of(files, basis, opened.embeddings, rows, max(1, round(quality["l0"])))
    to_z = embedder(files, basis)
    found: dict[str, Any] = {"units": coded.code.shape[1], "images": len(rows), **reconstruction(coded)}
    if to_z is not None:
        share = [accuracy(to_z(x), prompts.vectors, classes) for x in (coded.x, coded.rebuilt)]
        found |= {"zero_shot": share[1], "kept": share[1] / share[0] if share[0] else None}
    found["absorption"] = absorption(coded.code, classes)
    scores = monosemanticity(coded.code, Embeddings(files.labels).z_of(rows))
    found["monosemanticity"] = float(np.nanmean(scores)) if np.isfinite(scores).any() else None
    found["used"] = int((np.diff(coded.code.tocsc().indptr) > 0).sum())
    plain = {name: None if isinstance(v, float) and np.isnan(v) else v for name, v in found.items()}
    inputs = {**opened.ids, "quality": stamp.id, "text": prompts.stamp.id}
    write_json(judged, plain, derived_stamp(KIND, SCHEMA, {"basis": basis, "images": images}, inputs))


def code_of(files: Dictionary, basis: str, tokens: Embeddings, rows: np.ndarray, k: int) -> Coded:
    """Some images of the test split as a dictionary has them."""
    if basis == "vocabulary":
        words, _ = read_vocabulary(files.words)
        z, train = unit(tokens.z_of(rows)), Embeddings(files.fitted)
        some = np.unique(np.linspace(0, train.rows - 1, min(_ROWS, train.rows)).astype(int))
        known = train.z_of(some)
        mean = unit(known[np.linalg.norm(known, axis=1) > 0]).mean(0)
        atoms = words.vectors - words.vectors.mean(0)
        atoms /= np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)
        code = pursuit(z - mean, atoms, k)
        return Coded(z, mean + code @ atoms, code)
    x = tokens.take("x", rows).astype(np.float32)
    if basis == "sae":
        return _by_sae(files.sae, x)
    train = Embeddings(files.fitted)
    centre = centre_of(train, _ROWS)
    axes = (
        np.eye(len(centre.mean)) if basis == "neurons" else principal_axes(covariance(train, centre, _ROWS))
    )
    mean = centre.mean.astype(np.float32)
    signed = largest((x - mean) @ axes.T.astype(np.float32), k)
    both = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=2).reshape(len(x), -1)
    return Coded(x, mean + signed @ axes.astype(np.float32), csr_array(both))


def embedder(files: Dictionary, basis: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """What leads from x to the image embedding; None if there is no closed form."""
    if basis == "vocabulary":
        return lambda z: z
    if files.head is None:
        return None
    head: Head = load_head(files.head)[0]
    return lambda x: project(x, head)


def reconstruction(coded: Coded) -> dict[str, float]:
    """Explained variance and mean number of active units."""
    x = coded.x.astype(np.float64)
    error = np.square(x - coded.rebuilt).sum()
    variance = np.square(x - x.mean(0)).sum()
    active = (coded.code != 0).sum() / max(len(x), 1)
    return {
        "explained_variance": 1 - float(error / variance) if variance > 0 else np.nan,
        "l0": float(active),
    }


def accuracy(z: np.ndarray, text: np.ndarray, classes: np.ndarray) -> float:
    """Share of images [n, p] whose own class has the nearest prompt [C, p]."""
    length = np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    t = text / np.linalg.norm(text, axis=1, keepdims=True)
    return float(credit((z / length).astype(np.float64) @ t.T.astype(np.float64), classes)[0].mean())


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """Values [n, d] with all but the k largest in size of each row set to 0."""
    if k >= values.shape[1]:
        return values
    kept = np.argpartition(-np.abs(values), k - 1, axis=1)[:, :k]
    found = np.zeros_like(values)
    np.put_along_axis(found, kept, np.take_along_axis(values, kept, 1), 1)
    return found


def pursuit(target: np.ndarray, atoms: np.ndarray, k: int) -> csr_array:
    """Positive weights [n, w] of at most k unit atoms [w, p] whose sum comes near each target [n, p].

    Matching pursuit: k times, the atom with the largest product with what is left gets that product.
    """
    left = target.astype(np.float32).copy()
    n, steps = len(target), max(k, 1)
    chosen, weight = np.zeros((n, steps), np.int64), np.zeros((n, steps), np.float32)
    for start in range(0, n, 512):
        rows = slice(start, start + 512)
        part = left[rows]
        for i in range(steps):
            scores = part @ atoms.T
            best = scores.argmax(1)
            gain = np.maximum(scores[np.arange(len(part)), best], 0)
            part -= gain[:, None] * atoms[best]
            chosen[rows, i], weight[rows, i] = best, gain
    flat = np.repeat(np.arange(n), steps)
    found = csr_array((weight.ravel(), (flat, chosen.ravel())), shape=(n, len(atoms)))
    found.sum_duplicates()
    found.eliminate_zeros()
    return found


def absorption(code: csr_array, classes: np.ndarray) -> float:
    """Mean share of absorbed images over classes; nan if no class has a unit that fires on it more often.

    code [n, m], classes int [n]. The main unit of a class is the one whose firing tells it best: the largest
    share of its images minus share of the others (the first of equals).
    """
    n = code.shape[0]
    fires = (code != 0).astype(np.float64).tocsr()
    labels = np.unique(classes)
    member = csr_array((classes[None, :] == labels[:, None]).astype(np.float64))
    counts = (member @ fires).toarray()
    total, size = counts.sum(0), np.asarray(member.sum(1)).ravel()
    shares = counts / size[:, None] - (total - counts) / np.maximum(n - size, 1)[:, None]
    main = shares.argmax(1)
    specific = (counts >= SPECIFIC * total) & (total >= LEAST)
    found = []
    for c in np.flatnonzero(shares.max(1) > 0):
        own = fires[np.flatnonzero(classes == labels[c])]
        others = specific[c].copy()
        others[main[c]] = False
        silent = own[:, [main[c]]].toarray()[:, 0] == 0
        found.append(np.mean(silent & (own @ others.astype(np.float64) > 0)))
    return float(np.mean(found)) if found else np.nan


def _by_sae(path: Path, x: np.ndarray) -> Coded:
    import torch  # only here: the other bases do without

    from reliance.units.sae.imported import applied

    sae, _ = load_sae(path)
    with torch.no_grad():
        code, rebuilt = applied(sae, "cpu").reconstruct(torch.as_tensor(x))
    values, indices = code.values.numpy(), code.indices.numpy().astype(np.int64)
    rows = np.repeat(np.arange(len(x)), values.shape[1])
    found = csr_array((values.ravel(), (rows, indices.ravel())), shape=(len(x), sae.m))
    found.eliminate_zeros()
    return Coded(x, rebuilt.numpy(), found)
