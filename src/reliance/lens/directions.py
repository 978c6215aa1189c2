"""Stage `lens_directions`: what each neuron writes, as one direction, and when it counts as significant.

r_n          first right singular vector of the centred effects of the neuron's strongest images (B1.7), with
             the sign that most of these images have
explained    share of that component in the sum of squares
threshold    the norm that a share of the images exceeds, one for each share asked for (B1.6); the paper has
             100 of 5,124 images
by_head      mean over the strongest images of dc_nk U_nk . r_n [N, K]: which later heads carry it
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    TableSpec,
    check_kind,
    check_same,
    derived_stamp,
    hash_arrays,
    write_table,
)
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.base.tensors import write_tensors
from reliance.encoders.model import load_model, read_weights
from reliance.lens.paths import neuron_paths
from reliance.lens.ranking import Ranking, grams
from reliance.lens.store import STRONGEST_KIND, Coefficients

KIND, SCHEMA = "lens_directions", 1
TOPS = TableSpec(
    "lens_tops",
    1,
    (
        ("component", "int32"),  # neuron
        ("rank", "int32"),  # 0 has the largest effect
        ("image_id", "int64"),
        ("norm", "float32"),  # |phi - phibar|
        ("activation", "float32"),  # (phi - phibar) . r, negative against the direction
    ),
)
_AT_ONCE = 64  # neurons


class Directions(NamedTuple):
    """What is known of a block's neurons."""

    mean: np.ndarray  # cbar float32 [N, K]
    direct: np.ndarray  # mean first-order coefficient float32 [N]
    direction: np.ndarray  # r float32 [N, p], unit rows; zeros for a neuron without effect
    explained: np.ndarray  # float32 [N]
    thresholds: np.ndarray  # float32 [N, S]
    shares: np.ndarray  # of images above each, float32 [S]
    by_head: np.ndarray  # float32 [N, K]
    norm: np.ndarray  # mean norm over the strongest images float32 [N]
    common: np.ndarray | None = None  # qbar float32 [p], of `shared` only


def lens_directions(
    *,
    weights: Path,
    coefficients: Sequence[Path],
    directions: Path,
    tops: Path,
    strongest: int = 100,
    significant: Sequence[float] = (0.0195,),
) -> None:
    """Write directions and thresholds of a block's neurons, and their strongest images.

    coefficients : the manifest of a split, or what `lens_strongest` left of its parts.
    strongest : images that give a direction. significant : shares of images above a threshold.
    Raises RelianceError for coefficients of other weights, or if too few images were kept for a share.
    """
    stamp = read_stamp(coefficients[0])
    record = read_weights(weights)[1]
    check_same("weights", (coefficients[0], stamp.inputs["weights"]), (weights, record.id))
    clip = load_model(weights)
    u = neuron_paths(clip, int(stamp.params["block"]), stamp.params["ln_mean"]).numpy()
    ranking = ranked(coefficients, stamp, u, strongest, max(significant))
    found, table = summarised(ranking, u, strongest, significant)
    ids = {f"coefficients_{i}": read_stamp(path).id for i, path in enumerate(coefficients)}
    params = {name: stamp.params[name] for name in ("split", "block", "ln_mean")}
    params |= {"strongest": strongest, "significant": list(significant)}
    inputs = {**ids, "weights": record.id, "index": stamp.inputs["index"]}
    save_directions(directions, found, params, inputs)
    write_table(tops, table, TOPS, params, inputs)


def ranked(paths: Sequence[Path], stamp: Stamp, u: np.ndarray, kept: int, share: float) -> Ranking:
    """Each neuron's strongest images, about the means over all."""
    if stamp.kind == STRONGEST_KIND:
        parts = [read_ranking(path) for path in paths]
        ranking = parts[0]
        for other in parts[1:]:
            ranking = ranking.merged(other)
        return ranking.recentred(u).first(parts[0].norm.shape[1])
    stored = Coefficients(paths[0])
    gram = None if stored.shared else grams(u)
    images = stored.parts.rows - len(stored.parts.excluded)
    ranking = Ranking.empty(u.shape, max(kept, _places(share, images)), stored.shared)
    means = Ranking.empty(u.shape, 1, stored.shared)
    for arrays in stored.blocks():
        means = means.summed(arrays)
    ranking = ranking.about_means(means.mean, means.common_mean)
    for arrays in stored.blocks():
        ranking = ranking.added(arrays, u, gram)
    return ranking


def summarised(
    ranking: Ranking, u: np.ndarray, strongest: int, shares: Sequence[float]
) -> tuple[Directions, pd.DataFrame]:
    """Directions, and the strongest images as TOPS."""
    n, _, p = u.shape
    direction, explained = np.zeros((n, p), np.float32), np.zeros(n, np.float32)
    along = np.zeros((n, strongest), np.float32)
    mean, q = ranking.mean, ranking.common_mean
    dc = ranking.coefficients[:, :strongest] - mean[:, None]
    there = ranking.image_id[:, :strongest] >= 0
    dc[~there] = 0
    for start in range(0, n, _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        dq = None if q is None or ranking.common is None else (ranking.common[rows, :strongest] - q) / n
        phi = dc[rows] @ u[rows]
        phi = phi if dq is None else phi + np.where(there[rows, :, None], dq, 0)
        direction[rows], explained[rows] = first_directions(phi)
        along[rows, : phi.shape[1]] = np.einsum("msp,mp->ms", phi, direction[rows])
    heads = np.einsum("nkp,np->nk", u, direction) * dc.sum(1) / np.maximum(1, there.sum(1))[:, None]
    norm = np.where(there, ranking.norm[:, :strongest], 0)
    images = int(ranking.images)
    found = Directions(
        mean,
        (ranking.direct / max(1, images)).astype(np.float32),
        direction,
        explained,
        np.stack([_threshold(ranking, share, images) for share in shares], 1),
        np.array(shares, np.float32),
        heads.astype(np.float32),
        (norm.sum(1) / np.maximum(1, there.sum(1))).astype(np.float32),
        q,
    )
    component, rank = np.nonzero(there)
    values = ranking.image_id[component, rank], norm[component, rank], along[component, rank]
    table = pd.DataFrame({"component": component, "rank": rank, "image_id": values[0], "norm": values[1]})
    return found, table.assign(activation=values[2])


def first_directions(phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(r [m, p], explained [m]) of effects [m, s, p]: unit rows, or zeros where there is no effect."""
    x = torch.from_numpy(np.ascontiguousarray(phi, np.float32)).double()
    values, parts = torch.linalg.eigh(x @ x.transpose(1, 2))
    largest, total = values[:, -1].clamp(min=0), values.clamp(min=0).sum(1)
    r = (parts[:, None, :, -1] @ x)[:, 0]
    length = r.norm(dim=1, keepdim=True)
    r = torch.where(length > 1e-12, r / length.clamp(min=1e-30), 0.0)
    positive = ((x @ r[:, :, None])[..., 0] > 0).sum(1) * 2 >= (x.abs().sum(2) > 0).sum(1)
    r = torch.where(positive[:, None], r, -r)
    share = torch.where(total > 0, largest / total.clamp(min=1e-300), 0.0)
    return r.float().numpy(), share.float().numpy()


def _places(share: float, images: int) -> int:
    """How many images a share is, at least one."""
    return max(1, round(share * images))


def _threshold(ranking: Ranking, share: float, images: int) -> np.ndarray:
    """The norm of the last image of the share, float32 [N]."""
    place = _places(share, images)
    if place > ranking.norm.shape[1]:
        raise RelianceError(
            "lens.significant",
            "a threshold is read off the strongest images that were kept",
            found=f"{share} of {images} images, but {ranking.norm.shape[1]} per neuron",
            allowed=f"at most {ranking.norm.shape[1] / images:.4f}",
            next_step="raise lens.strongest, lower lens.significant, or write lens.keep: all",
        )
    return np.where(np.isfinite(ranking.norm[:, place - 1]), ranking.norm[:, place - 1], 0).astype(np.float32)


def read_ranking(path: Path) -> Ranking:
    """What `lens_strongest` wrote. Raises RelianceError for anything else."""
    check_kind(path, read_stamp(path), STRONGEST_KIND, 1)
    return Ranking(**load_file(path))


def save_directions(
    path: Path, found: Directions, params: dict[str, object], inputs: dict[str, str]
) -> Stamp:
    """Write directions with their stamp."""
    arrays = {name: value for name, value in found._asdict().items() if value is not None}
    stamp = derived_stamp(KIND, SCHEMA, {**params, "content": hash_arrays(arrays)}, inputs)
    write_tensors(path, arrays, {STAMP_KEY: stamp.to_json()})
    return stamp


def read_directions(path: Path) -> tuple[Directions, Stamp]:
    """What `lens_directions` wrote. Raises RelianceError for anything else."""
    stamp = read_stamp(path)
    check_kind(path, stamp, KIND, SCHEMA)
    return Directions(**load_file(path)), stamp
