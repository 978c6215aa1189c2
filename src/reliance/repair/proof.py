"""Stage `prove_cases`: whether removing a case's carriers, and nothing else, takes the failure away.

For every case its carriers are removed exactly (`repair.scene`) from its distractors, from the class's own
images, and from all images. Against chance, `draws` times, from every distractor: other active units in a
random order, up to where their relevance (act x grad, those that raise y) comes nearest to the carriers',
which few active units may not reach (`matched`); and random units' directions by the activations of the
carriers, a change as long. Verdicts:

  yes      y falls by more than by either chance, most distractors leave the line of high confidence, and the
           spurious AUC rises, both beyond their 95 % intervals
  partly   y falls by more than by chance
  no       anything else
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.inputs import COMPUTING, LATENTS, Computing, Explained, open_inputs, open_tail
from reliance.base.artifacts import Stamp, check_same, read_table, write_table
from reliance.repair.coverage import CoverageFiles, Labeller, cover
from reliance.repair.paired import Z, auc_change, mean_change
from reliance.repair.scene import Scene
from reliance.repair.schema import CARRIERS, CASE_IMAGES, CASES, CONFIDENT, FAMILIES, PROOF
from reliance.tails.protocol import ACT_X_GRAD, Tail

log = logging.getLogger(__name__)
MOST = 0.5  # of the distractors


class Listed(NamedTuple):
    """The list of cases, what carries them, their images; and all high-confidence images."""

    cases: Path
    carriers: Path
    case_images: Path
    confident: Path


class Drawn(NamedTuple):
    """How chance is drawn."""

    draws: int = 10
    seed: int = 0


class Chance(NamedTuple):
    """What changes as large do to the outputs of a case's distractors."""

    relevance: np.ndarray  # y [n] without other active units, in a random order up to as much relevance
    length: np.ndarray  # y [n] after subtracting random directions of units by the carriers' activations
    matched: float  # relevance of the first, as a share of the carriers'


class Case(NamedTuple):
    """A case in a scene."""

    case_id: str
    class_id: int
    row: int  # of the class
    units: np.ndarray  # carriers, int64
    places: np.ndarray  # of its distractors in the scene


def prove_cases(
    files: Explained,
    *,
    listed: Listed,
    families: Path,
    seen: Labeller,
    proof: Path,
    covered: CoverageFiles,
    split: str = "train",
    every_nth: int = 5,
    confidence_std: float = 1.5,
    chance: Drawn | None = None,
    units: str = LATENTS,
    computing: Computing = COMPUTING,
) -> Stamp:
    """Write PROOF of every case, and how much of all high-confidence images the cases explain.

    listed : what was mined and listed, families : with these. seen : the labeller's view, for words of what
    is left. proof, covered : outputs. Raises RelianceError if artifacts do not belong together.
    """
    inputs = open_inputs(files, split, units)
    scene = Scene(inputs, every_nth, computing.block_rows)
    cases, ids = read_cases(scene, listed)
    tail = open_tail(inputs.units, inputs.head, inputs.text, computing)
    drawn = chance or Drawn()
    columns = [name for name, _ in PROOF.columns]
    frame = pd.DataFrame([prove(scene, tail, case, confidence_std, drawn) for case in cases], columns=columns)
    params = {"split": split, "every_nth": every_nth, "confidence_std": confidence_std, **drawn._asdict()}
    params["dtype"] = computing.dtype
    stamp = write_table(proof, frame, PROOF, params, {**inputs.ids, **ids})
    pairs = read_table(listed.confident, CONFIDENT)
    check_same(
        "outliers", (listed.confident, pairs.stamp.inputs["outliers"]), (listed.cases, ids["outliers"])
    )
    table = read_table(families, FAMILIES)
    check_same("families", (listed.cases, ids.pop("families")), (families, table.stamp.id))
    grouped = [part.to_numpy(np.int64) for _, part in table.frame.groupby("family")["unit"]]
    told = (params, {**inputs.ids, **ids, "families": table.stamp.id})
    cover(scene, cases, (pairs.frame, grouped), seen, covered, told)
    log.info("carried by their units: %s", frame["verdict"].value_counts().to_dict())
    return stamp


def read_cases(scene: Scene, listed: Listed) -> tuple[list[Case], dict[str, str]]:
    """The listed cases in a scene, and ids of what they were read from."""
    table = read_table(listed.cases, CASES)
    carriers, images = read_table(listed.carriers, CARRIERS), read_table(listed.case_images, CASE_IMAGES)
    for path, part in ((listed.carriers, carriers), (listed.case_images, images)):
        check_same("cases", (path, part.stamp.inputs["cases"]), (listed.cases, table.stamp.id))
    units = carriers.frame.groupby("case_id")["unit"].agg(list).to_dict()
    shown = images.frame.groupby("case_id")["image_id"].agg(list).to_dict()
    found = [
        Case(
            name,
            int(c),
            scene.row_of(c),
            np.array(units[name], np.int64),
            scene.places(np.array(shown[name])),
        )
        for name, c in zip(table.frame["case_id"], table.frame["class_id"], strict=True)
    ]
    return found, {"cases": table.stamp.id, **{k: table.stamp.inputs[k] for k in ("outliers", "families")}}


def confidence_line(y: np.ndarray, own: np.ndarray, confidence_std: float) -> float:
    """The output above which an image scores like the class: mean - `confidence_std` std of its own."""
    return float(y[own].mean() - confidence_std * y[own].std(ddof=1))


def prove(
    scene: Scene, tail: Tail, case: Case, confidence_std: float, chance: Drawn
) -> dict[str, float | str | int]:
    """A row of PROOF."""
    vector = scene.text[case.row]
    before, after = scene.outputs(vector), scene.without(case.units, vector)
    own = np.flatnonzero(scene.label == case.row)
    others = np.setdiff1d(np.flatnonzero(scene.label != case.row), case.places)
    line = confidence_line(before, own, confidence_std)
    fall = mean_change(-before[case.places], -after[case.places])
    random = [*draw(scene, tail, case, chance)]
    falls = [
        mean_change(np.zeros(len(case.places)), np.mean([before[case.places] - y for y in part], axis=0))
        for part in ([c.relevance for c in random], [c.length for c in random])
    ]
    spurious = auc_change(before, after, own, case.places)
    valid = auc_change(before, after, own, others)
    top1 = mean_change(*(scene.hits(case.row, scores).astype(float) for scores in (before, after)))
    leave = float((after[case.places] <= line).mean())
    kept = mean_change(before[own], after[own])
    found = {
        **{"case_id": case.case_id, "images": len(case.places)},
        **{"fall": fall.gain, "fall_error": fall.error},
        **{"random_fall": falls[0].gain, "random_error": falls[0].error},
        **{"length_fall": falls[1].gain, "length_error": falls[1].error},
        "matched": float(np.mean([c.matched for c in random])),
        **{"own_fall": -kept.gain, "own_error": kept.error, "leave": leave},
        "random_leave": float(np.mean([(c.relevance <= line).mean() for c in random])),
    }
    for name, change in (("spurious", spurious), ("valid", valid), ("accuracy", top1)):
        found |= {
            f"{name}_before": change.before,
            f"{name}_after": change.after,
            f"{name}_error": change.error,
        }
    beyond = all(fall.gain - other.gain > Z * np.hypot(fall.error, other.error) for other in falls)
    whole = leave > MOST and spurious.interval[0] > 0
    return {**found, "verdict": "yes" if beyond and whole else "partly" if beyond else "no"}


def draw(scene: Scene, tail: Tail, case: Case, chance: Drawn) -> Iterator[Chance]:
    """Chance, drawn `draws` times."""
    ids, vector = scene.ids[case.places], scene.text[case.row].astype(np.float32)
    values, indices = (part[case.places] for part in scene.active)
    x, directions = scene.x[case.places].astype(np.float32), scene.inputs.units.directions
    scores = tail.score(x, values, indices, ids)
    every = torch.arange(len(ids), device=scores.y.device)
    r = scores.relevance(ACT_X_GRAD, every, torch.full_like(every, case.row)).cpu().numpy()
    carried = np.isin(indices, case.units) & (values != 0)
    goal = np.where(carried, r, 0).sum(axis=1)
    free = np.where(~carried & (values != 0) & (r > 0), r, 0)
    g = np.random.default_rng([chance.seed, *case.case_id.encode()])
    for _ in range(chance.draws):
        order = g.permuted(np.tile(np.arange(values.shape[1]), (len(ids), 1)), axis=1)
        sums = np.concatenate([np.zeros((len(ids), 1)), np.take_along_axis(free, order, 1).cumsum(axis=1)], 1)
        count = np.abs(sums - goal[:, None]).argmin(axis=1)
        rank = np.argsort(order, axis=1)
        taken = np.where((rank < count[:, None]) & (free > 0), values, 0)
        reached = sums[np.arange(len(ids)), count].sum() / goal.sum() if goal.sum() > 0 else np.nan
        change = -np.einsum("nk,nkd->nd", taken, directions[indices])
        other = directions[g.integers(0, len(directions), indices.shape)]
        length = -np.einsum("nk,nkd->nd", np.where(carried, values, 0), other)
        first, second = (scene.moved(case.places, part) @ vector for part in (change, length))
        yield Chance(first, second, float(reached))
