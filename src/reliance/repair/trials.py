"""Stage `try_repairs`: each kind of repair of each case, learned on one half of images, judged on another.

Halves are drawn by image. On the learning half the strength of each kind is chosen: the largest spurious
AUC, while valid AUC and zero-shot accuracy fall by at most `most_loss`. On the judging half stand the
numbers, before and after, with the standard errors of paired differences. A repair does the job if it halves
the gap between valid and spurious AUC on both halves and does not harm: zero-shot accuracy of all classes
falls neither beyond its 95 % interval nor by more than `most_loss`. The cheapest that does is recommended.
(Cases, their images and their carriers were found on both halves: what is judged is the repair.)
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.attribution.inputs import COMPUTING, LATENTS, Computing, Explained, open_inputs
from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    check_same,
    derived_stamp,
    hash_arrays,
    read_table,
    write_table,
)
from reliance.base.tensors import write_tensors
from reliance.encoders.text import TEXT
from reliance.repair.candidates import REPAIRS as KINDS
from reliance.repair.candidates import Candidate, Known, candidates
from reliance.repair.paired import Change, auc_change, mean_change
from reliance.repair.proof import Case, Listed, read_cases
from reliance.repair.scene import Scene
from reliance.repair.schema import CARRIERS, CASES, REPAIRS, VECTORS
from reliance.robustness.auc import auc

log = logging.getLogger(__name__)
NOTHING = "nothing within the bounds"
NUMBERS = ("spurious", "valid", "class_top1", "top1")


class Texts(NamedTuple):
    """Prompts of the classes, and names of things as the encoder reads them."""

    short: Path
    templated: Path
    extended: Path
    both: Path
    names: Path  # vocabulary
    own: Path | None = None  # a user's prompts


class Trial(NamedTuple):
    """How repairs are tried."""

    seed: int = 0  # of the halves
    most_loss: float = 0.005  # of valid AUC and of accuracy


class Sides(NamedTuple):
    """Images of one half, as places in the scene."""

    own: np.ndarray  # of the class
    others: np.ndarray  # of other classes but the case's images
    distractors: np.ndarray  # the case's images
    every: np.ndarray


def try_repairs(
    files: Explained,
    *,
    listed: Listed,
    texts: Texts,
    repairs: Path,
    vectors: Path,
    split: str = "train",
    every_nth: int = 5,
    trial: Trial | None = None,
    units: str = LATENTS,
    computing: Computing = COMPUTING,
) -> Stamp:
    """Write REPAIRS, and beside it the vector and bias of each row (safetensors, float32 [R, p] and [R]).

    listed : cases as `list_family_cases` wrote them. Raises RelianceError if artifacts do not match.
    """
    how = trial or Trial()
    inputs = open_inputs(files, split, units)
    scene = Scene(inputs, every_nth, computing.block_rows)
    cases, ids = read_cases(scene, listed)
    table = read_table(listed.cases, CASES).frame
    kinds = dict(zip(table["case_id"], table["kind"], strict=True))
    shown = dict(zip(table["case_id"], table["words"], strict=True))
    carriers = read_table(listed.carriers, CARRIERS).frame
    own = {(c, u): o for c, u, o in zip(*(carriers[n] for n in ("case_id", "unit", "own")), strict=True)}
    prompts, names, text_ids = _read_texts(texts, inputs.ids["weights"], len(inputs.class_ids))
    learning = halves(len(inputs.labels), how.seed)[scene.ids]
    rows: list[dict[str, Any]] = []
    kept: list[Candidate] = []
    for case in cases:
        words = {word: names[word] for word in shown[case.case_id] if word in names}
        is_own = np.array([own[case.case_id, unit] for unit in case.units.tolist()], bool)
        groups = [case.units[is_own], case.units[~is_own]]
        known = _known(scene, case, learning, groups, {n: v[case.row] for n, v in prompts.items()}, words)
        found = [*tried(scene, case, known, learning, how)]
        _recommend([row for row, _ in found])
        for row, candidate in found:
            rows.append({**row, "kind": kinds[case.case_id], "class_id": case.class_id})
            kept.append(candidate)
    frame = pd.DataFrame(rows, columns=[name for name, _ in REPAIRS.columns])
    params = {"split": split, "every_nth": every_nth, **how._asdict(), "dtype": computing.dtype}
    stamp = write_table(repairs, frame, REPAIRS, params, {**inputs.ids, **ids, **text_ids})
    p = scene.text.shape[1]
    weight = np.stack([np.zeros(p), *(c.weight for c in kept)])[1:].astype(np.float32)
    bias = np.array([c.bias for c in kept], np.float32)
    write_vectors(vectors, weight, bias, stamp)
    done = frame[frame["recommended"]]
    log.info(
        "%d of %d cases have a repair: %s", len(done), len(cases), done["repair"].value_counts().to_dict()
    )
    return stamp


def write_vectors(path: Path, weight: np.ndarray, bias: np.ndarray, stamp: Stamp) -> None:
    """Write weight [R, p] and bias [R] of the rows of the table of repairs, whose stamp is given."""
    arrays = {"weight": weight, "bias": bias}
    own = derived_stamp(*VECTORS, {"content": hash_arrays(arrays)}, {"repairs": stamp.id})
    write_tensors(path, arrays, {STAMP_KEY: own.to_json()})


def halves(images: int, seed: int) -> np.ndarray:
    """Whether each image of a split is of the learning half, bool [N]: drawn, and the same for all cases."""
    found: np.ndarray = np.random.default_rng(seed).random(images) < 0.5
    return found


def tried(
    scene: Scene, case: Case, known: Known, learning: np.ndarray, how: Trial
) -> Iterator[tuple[dict[str, Any], Candidate]]:
    """For every kind of repair its row, and the candidate that was chosen on the learning half."""
    learn, judge = (sides(scene, case, half) for half in (learning, ~learning))
    before = scene.outputs(scene.text[case.row])
    found = [*candidates(scene, known)]
    as_it_was = Candidate("", NOTHING, {}, scene.text[case.row].astype(np.float64), 0.0, before)
    for kind in KINDS:
        chosen, best = as_it_was, -np.inf
        numbers = seen_at(scene, case.row, before, before, learn)
        for candidate in (c for c in found if c.repair == kind):
            seen = seen_at(scene, case.row, before, candidate.scores, learn)
            within = min(seen["valid"].gain, seen["top1"].gain) >= -how.most_loss
            if within and seen["spurious"].after > max(best, seen["spurious"].before):
                chosen, best, numbers = candidate, seen["spurious"].after, seen
        judged = measured(scene, case.row, before, chosen.scores, judge)
        row: dict[str, Any] = {"case_id": case.case_id, "repair": kind, "choice": chosen.choice}
        row |= {"edit": chosen.record, "learned": halved(numbers), "halves": halved(judged)}
        row["harms"] = harms(judged, how.most_loss)
        for name in NUMBERS:
            change = judged[name]
            row |= {
                f"before_{name}": change.before,
                f"after_{name}": change.after,
                f"{name}_error": change.error,
            }
        yield row, chosen


def sides(scene: Scene, case: Case, half: np.ndarray) -> Sides:
    """The images of a half, bool [n], as the case has them."""
    is_case = np.zeros(len(scene.ids), bool)
    is_case[case.places] = True
    own = scene.label == case.row
    masks = own & half, ~own & ~is_case & half, is_case & half, half
    return Sides(*(np.flatnonzero(mask) for mask in masks))


def measured(scene: Scene, row: int, before: np.ndarray, after: np.ndarray, half: Sides) -> dict[str, Change]:
    """What a change of a class's outputs [n] does on the images of a half."""
    hits = [scene.hits(row, scores).astype(float) for scores in (before, after)]
    return {
        "spurious": auc_change(before, after, half.own, half.distractors),
        "valid": auc_change(before, after, half.own, half.others),
        "class_top1": mean_change(*(h[half.own] for h in hits)),
        "top1": mean_change(*(h[half.every] for h in hits)),
    }


def seen_at(scene: Scene, row: int, before: np.ndarray, after: np.ndarray, half: Sides) -> dict[str, Change]:
    """The same without errors and without the class's own accuracy, many times as fast."""
    found = {}
    for name, negatives in (("spurious", half.distractors), ("valid", half.others)):
        first, last = (auc(scores[half.own], scores[negatives]).value for scores in (before, after))
        found[name] = Change(first, last, np.nan)
    first, last = (float(scene.hits(row, scores)[half.every].mean()) for scores in (before, after))
    return {**found, "top1": Change(first, last, np.nan)}


def halved(numbers: Mapping[str, Change]) -> bool:
    """Whether the gap between valid and spurious AUC is at most half of what it was."""
    gap = [
        getattr(numbers["valid"], side) - getattr(numbers["spurious"], side) for side in ("before", "after")
    ]
    return bool(gap[0] > 0 and gap[1] <= gap[0] / 2)


def harms(judged: Mapping[str, Change], most_loss: float) -> bool:
    """Whether accuracy, of all classes or of the class itself, is surely lost, or there is too much loss.

    That is of accuracy over all classes and of valid AUC.
    """
    surely = min(judged[name].interval[1] for name in ("top1", "class_top1")) < 0
    return bool(surely or min(judged[name].gain for name in ("top1", "valid")) < -most_loss)


def _recommend(rows: Sequence[dict[str, Any]]) -> None:
    """Mark the first that does the job, in place; rows are the cheapest first."""
    done = [row["learned"] and row["halves"] and not row["harms"] for row in rows]
    for i, row in enumerate(rows):
        row["recommended"] = done[i] and not any(done[:i])


def _known(
    scene: Scene,
    case: Case,
    learning: np.ndarray,
    groups: Sequence[np.ndarray],
    prompts: Mapping[str, np.ndarray],
    words: Mapping[str, np.ndarray],
) -> Known:
    learn = sides(scene, case, learning)
    others = np.sort(np.concatenate([learn.others, learn.distractors]))
    return Known(case.row, learn.own, others, learn.distractors, groups, prompts, words)


def _read_texts(
    texts: Texts, weights: str, classes: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, str]]:
    """(set of prompts -> vectors [C, p], name -> vector, ids)."""
    prompts, ids = {}, {}
    for name, path in texts._asdict().items():
        if path is None or name == "names":
            continue
        found = read_prompts(path)
        check_same("encoder weights", (path, found.stamp.inputs["weights"]), ("the embeddings", weights))
        check_same("number of classes", (path, str(len(found.vectors))), ("the prompts", str(classes)))
        prompts[name], ids[name] = found.vectors.astype(np.float64), found.stamp.id
    table = read_table(texts.names, TEXT)
    check_same("encoder weights", (texts.names, table.stamp.inputs["weights"]), ("the embeddings", weights))
    named = zip(table.frame["prompts"], table.frame["embedding"], strict=True)
    return (
        prompts,
        {str(p[0]): v.astype(np.float64) for p, v in named if p[0]},
        {**ids, "names": table.stamp.id},
    )
