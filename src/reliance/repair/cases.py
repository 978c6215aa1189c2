"""Stage `list_family_cases`: flags of units and families become cases that say what their images are.

A case is chosen as in `failures.selection`, among units and families together, of flags that hit often enough
(`repair.hits`). What it absorbed is the same failure seen through other units: these and the members of its
family are its carriers. Where its images
fall into two clearly different groups, it is split (`repair.pictures`): each part has its own images, classes
and words, and the rank of the whole.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, Table, check_same, read_table, write_table
from reliance.codes.store import Codes, codes_at, open_codes
from reliance.encoders.stored import Embeddings
from reliance.failures.cases import Selection, View
from reliance.failures.evidence import gather_evidence
from reliance.failures.kinds import suggest_kind
from reliance.failures.neighbours import unit_rows
from reliance.failures.reviews import failure_id
from reliance.failures.schema import OUTLIER_SAMPLES, OUTLIERS
from reliance.failures.selection import Case, select_cases
from reliance.failures.sources import (
    EncoderFiles,
    EncoderSide,
    LabellerFiles,
    LabellerSide,
    Origin,
    open_encoder_side,
    open_labeller_side,
)
from reliance.matching.matches import read_rows
from reliance.repair.families import members_of
from reliance.repair.hits import Hits, Looked, hit_rates
from reliance.repair.pictures import Vocabulary, classes_of, parts_of, words_of
from reliance.repair.schema import CARRIERS, CASE_IMAGES, CASES, CONFIDENT, FAMILIES

log = logging.getLogger(__name__)
USUAL = 5000  # images that say what usual ones look like


class Mined(NamedTuple):
    """What `mine_families` wrote, and the families that it looked at."""

    outliers: Path
    outlier_samples: Path
    confident: Path
    families: Path


class CaseFiles(NamedTuple):
    """The list of cases: what they are, what carries them, their images."""

    cases: Path
    carriers: Path
    case_images: Path


class Whole(NamedTuple):
    """A case before it is split."""

    case: Case
    units: np.ndarray  # carriers, int64, the strongest first
    shares: np.ndarray  # of the activation of all carriers on the images
    own: np.ndarray  # whether a carrier is of the unit or family itself, bool
    hits: Hits


def list_family_cases(
    *,
    index: Path,
    mined: Mined,
    codes: Path,
    seen: EncoderFiles,
    named: LabellerFiles,
    listed: CaseFiles,
    view: View,
    selection: Selection | None = None,
    min_samples: int = 10,
    min_hit_rate: float = 0.33,
    top_n: int = 20,
    block_rows: int = 4096,
) -> Stamp:
    """Write the cases of units and families, by class and rank.

    codes : of the same units. seen, named : of the encoder and the labeller. listed : outputs.
    min_samples : images of a part at least, and a fifth of the case's. min_hit_rate : of a case's flag.
    Returns the stamp of the cases; raises RelianceError if artifacts do not belong together.
    """
    chosen = selection or Selection()
    flags, stamp = read_table(mined.outliers, OUTLIERS)
    samples = read_table(mined.outlier_samples, OUTLIER_SAMPLES)
    pairs = read_table(mined.confident, CONFIDENT)
    for path, part in ((mined.outlier_samples, samples), (mined.confident, pairs)):
        check_same("outliers", (path, part.stamp.inputs["outliers"]), (mined.outliers, stamp.id))
    table, split = read_table(mined.families, FAMILIES), open_codes(codes)
    check_same("families", (mined.outliers, stamp.inputs["families"]), (mined.families, table.stamp.id))
    check_same("codes", (mined.outliers, stamp.inputs["codes"]), (codes, split.stamp.id))
    origin = Origin(mined.outliers, stamp.inputs)
    encoder = open_encoder_side(index, seen, view.split, view.every_nth, origin)
    labeller = open_labeller_side(named, origin)
    looked = _looked(encoder, split)
    hits = hit_rates(flags, samples.frame, _above(pairs.frame), looked, partial(members_of, table))
    often = np.array([own.beyond >= min_hit_rate for own in hits], bool)
    log.info("%d of %d flags hit often enough", often.sum(), len(flags))
    keys = zip(flags["class_id"].tolist(), flags["component"].tolist(), strict=True)
    hits_of = dict(zip(keys, hits, strict=True))
    rated = flags.assign(hit_rate=[own.hit_rate for own in hits])[often]
    found = [
        _whole(case, hits_of[case.class_id, case.component], table, *codes_at(split, case.images))
        for case in select_cases(rated, samples.frame, *chosen)
    ]
    frames = describe(found, table, encoder, labeller, stamp.inputs["sae"], min_samples, (top_n, block_rows))
    params = {**view._asdict(), **chosen._asdict(), "min_samples": min_samples, "top_n": top_n}
    params |= {"min_hit_rate": min_hit_rate, "flags": len(flags), "hit_too_rarely": int((~often).sum())}
    params |= {"contrastive": stamp.params["contrastive"]}
    ids = {**encoder.ids, **labeller.ids, "outliers": stamp.id, "families": table.stamp.id}
    written = write_table(listed.cases, frames[0], CASES, params, ids)
    write_table(listed.carriers, frames[1], CARRIERS, {}, {"cases": written.id})
    write_table(listed.case_images, frames[2], CASE_IMAGES, {}, {"cases": written.id})
    log.info("%d cases, %d with their parts", len(found), len(frames[0]))
    return written


def _looked(encoder: EncoderSide, split: Codes) -> Looked:
    """The images of the view that have a class, with their codes."""
    ids = np.sort(np.concatenate([own for c, own in encoder.class_images.items() if c >= 0]))
    return Looked(ids, encoder.labels[ids], read_rows(split, ids).tocsc())


def _above(pairs: pd.DataFrame) -> dict[int, np.ndarray]:
    """The images of other classes that score like a class, by class_id. pairs : CONFIDENT."""
    return {int(str(c)): own.to_numpy() for c, own in pairs.groupby("class_id")["image_id"]}


def _whole(case: Case, hits: Hits, table: Table, values: np.ndarray, indices: np.ndarray) -> Whole:
    """The case with its carriers; codes [n, k] of its images."""
    own = members_of(table, case.component)
    units = np.unique(np.concatenate([own, *(members_of(table, c) for c in case.absorbed)]))
    place = np.searchsorted(units, indices).clip(max=len(units) - 1)
    held = (units[place] == indices) & (values != 0)
    total = np.bincount(place[held], values[held], len(units))
    order = np.lexsort((units, -total))
    shares = total / max(total.sum(), 1e-12)
    return Whole(case, units[order], shares[order], np.isin(units[order], own), hits)


def describe(
    found: Sequence[Whole],
    table: Table,
    encoder: EncoderSide,
    labeller: LabellerSide,
    sae_id: str,
    least: int,
    evidence: tuple[int, int],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """CASES, CARRIERS and CASE_IMAGES. evidence : (images that stand for a unit, rows read at a time)."""
    strongest = [whole.case._replace(component=int(whole.units[whole.own][0])) for whole in found]
    kinds = [suggest_kind(seen) for seen in gather_evidence(strongest, encoder, labeller, *evidence)]
    words = vocabulary_of(labeller)
    rows, images = list[dict[str, object]](), list[tuple[str, int]]()
    carriers = list[tuple[object, ...]]()
    for whole, kind in zip(found, kinds, strict=True):
        case = whole.case
        unit = unit_rows(labeller.embeddings, case.images)
        name = failure_id(case.class_id, case.component, sae_id)
        labels = [labeller.labels.get(int(j), "") or "" for j in whole.units]
        for part, chosen in _parts(parts_of(unit, encoder.labels[case.images], least)):
            case_id = f"{name}.{part}" if part else name
            own = case.images[chosen]
            rows.append(
                {
                    **{"case_id": case_id, "rank": case.rank, "part": part, "kind": kind},
                    **{"class_id": case.class_id, "component": case.component},
                    "level": _level(table, case.component),
                    "name": " / ".join(_first(labels, whole.own)),
                    **{"score": case.score, "q_value": case.q_value, **whole.hits._asdict()},
                    "images": len(own),
                    "classes": classes_of(encoder.labels[own], labeller.short_names),
                    "words": words_of(unit[chosen], words),
                }
            )
            carriers += zip(
                [case_id] * len(labels), whole.units, labels, whole.shares, whole.own, strict=True
            )
            images += [(case_id, int(i)) for i in own]
    return (
        pd.DataFrame(rows, columns=[name for name, _ in CASES.columns]),
        pd.DataFrame(carriers, columns=[name for name, _ in CARRIERS.columns]),
        pd.DataFrame(images, columns=[name for name, _ in CASE_IMAGES.columns]),
    )


def vocabulary_of(labeller: LabellerSide) -> Vocabulary:
    """What images can be called."""
    return words_known(labeller.vocabulary, labeller.embeddings)


def words_known(rows: pd.DataFrame, embeddings: Embeddings) -> Vocabulary:
    """The same from the rows of a vocabulary (TEXT) and the labeller's images."""
    names = [str(prompts[0]) for prompts in rows["prompts"]]
    named = [i for i, name in enumerate(names) if name]
    vectors = np.stack(rows["embedding"].to_list()).astype(np.float64)[named]
    readable = np.flatnonzero(embeddings.read("valid"))
    sample = readable[np.unique(np.linspace(0, len(readable) - 1, min(USUAL, len(readable))).astype(int))]
    return Vocabulary([names[i] for i in named], vectors, unit_rows(embeddings, sample).mean(axis=0))


def _parts(part: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(number of a part, which images), the whole as part 0."""
    yield from ((int(number), part == number) for number in np.unique(part))


def _level(table: Table, component: int) -> int:
    m = int(table.stamp.params["m"])
    if component < m:
        return -1
    return int(table.frame.loc[table.frame["family"] == component - m, "level"].iloc[0])


def _first(labels: Sequence[str], own: np.ndarray, count: int = 2) -> list[str]:
    """The first labels of own units, each once."""
    named = [label for label, mine in zip(labels, own, strict=True) if mine and label]
    return list(dict.fromkeys(named))[:count]
