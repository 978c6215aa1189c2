"""Stage `list_cases`: flags become the list of failure cases that people review and the benchmark reads."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, check_same, derived_stamp, hash_file, read_table, write_table
from reliance.base.errors import RelianceError, make_again
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, KIND, SCHEMA, write_failures
from reliance.failures.evidence import gather_evidence
from reliance.failures.kinds import Evidence, suggest_kind
from reliance.failures.reviews import apply_reviews, failure_id, gone, read_reviews
from reliance.failures.schema import OUTLIER_SAMPLES, OUTLIERS
from reliance.failures.selection import Case, select_cases
from reliance.failures.sources import (
    EncoderFiles,
    LabellerFiles,
    Origin,
    open_encoder_side,
    open_labeller_side,
)

__all__ = ["FAILURE_SAMPLES", "list_cases"]
log = logging.getLogger(__name__)


class Flagged(NamedTuple):
    """What mining wrote."""

    outliers: Path
    outlier_samples: Path


class Listed(NamedTuple):
    """The list of cases and their images."""

    failures: Path
    failure_samples: Path


class View(NamedTuple):
    """The images that were mined: every `every_nth` of a split of a data set."""

    dataset: str
    split: str = "train"
    every_nth: int = 5


class Selection(NamedTuple):
    """Which flags become cases, see `selection.select_cases`."""

    max_cases_per_class: int = 2
    overlap: float = 0.5


def list_cases(
    *,
    index: Path,
    flagged: Flagged,
    seen: EncoderFiles,
    named: LabellerFiles,
    listed: Listed,
    view: View,
    selection: Selection | None = None,
    review: Path | None = None,
    top_n: int = 20,
    block_rows: int = 4096,
) -> Stamp:
    """Write the cases of a variant, by class and rank, and their images.

    flagged : what mining wrote. seen : of the encoder, to tell kinds apart. named : of the labeller.
    listed : outputs. review : what a person decided before, if anything. top_n : images that stand for a
    component.
    The .meta.json beside the list has the absorbed components and the evidence of every case, and
    the reviewed cases that are gone. Returns the stamp; raises RelianceError if artifacts do not
    belong together or the review is of another SAE.
    """
    chosen = selection or Selection()
    flags, stamp = read_table(flagged.outliers, OUTLIERS)
    samples, samples_stamp = read_table(flagged.outlier_samples, OUTLIER_SAMPLES)
    mined = (flagged.outliers, stamp.id)
    check_same("outliers", (flagged.outlier_samples, samples_stamp.inputs["outliers"]), mined)
    _check_images(flagged.outliers, stamp, {"split": view.split, "every_nth": view.every_nth})
    origin, sae_id = Origin(flagged.outliers, stamp.inputs), stamp.inputs["sae"]
    encoder = open_encoder_side(index, seen, view.split, view.every_nth, origin)
    labeller = open_labeller_side(named, origin)
    reviews = read_reviews(review, sae_id) if review else {}
    cases = select_cases(flags, samples, *chosen)
    evidence = gather_evidence(cases, encoder, labeller, top_n, block_rows)
    frame = apply_reviews(case_frame(cases, evidence, sae_id), reviews)
    names, lost = frame["failure_id"].tolist(), gone(frame, reviews)
    params = {**view._asdict(), **chosen._asdict(), "top_n": top_n}
    params |= {"review": hash_file(review) if review else None}
    ids = {**encoder.ids, **labeller.ids, "outliers": stamp.id, "sae": sae_id}
    written = derived_stamp(KIND, SCHEMA, params, ids)
    details = case_details(names, cases, evidence)
    write_failures(listed.failures, frame, written, gone=lost, cases=details)
    images = sample_frame(names, cases, view.dataset, view.split)
    write_table(listed.failure_samples, images, FAILURE_SAMPLES, {}, {"failures": written.id})
    log.info("%d cases from %d flags; reviewed cases that are gone: %s", len(frame), len(flags), lost)
    return written


def _check_images(path: Path, stamp: Stamp, asked: dict[str, Any]) -> None:
    mined = {name: stamp.params[name] for name in asked}
    if mined != asked:
        raise RelianceError(
            path,
            "cases are listed from the images that were mined",
            found=f"mined with {mined}",
            allowed=f"{asked}",
            next_step=f"the config changed between the two: {make_again(path)}",
        )


def case_frame(cases: Sequence[Case], evidence: Sequence[Evidence], sae_id: str) -> pd.DataFrame:
    """The columns of failures.tsv, with suggested kinds and before any review."""
    rows = [
        {
            "failure_id": failure_id(case.class_id, case.component, sae_id),
            "rank": case.rank,
            "kind": suggest_kind(seen),
            "mode": "",
            "class_id": case.class_id,
            "source": "mined",
            "component": case.component,
            "score": case.score,
            "q_value": case.q_value,
            "reviewed": "no",
            "note": "",
        }
        for case, seen in zip(cases, evidence, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def case_details(names: Sequence[str], cases: Sequence[Case], evidence: Sequence[Evidence]) -> dict[str, Any]:
    """What a reviewer may want to know beside the list, by failure_id; missing numbers are None."""
    return {
        name: {
            "images": len(case.images),
            "absorbed": case.absorbed,
            "suggested": suggest_kind(seen),
            "evidence": {k: None if np.isnan(v) else round(v, 6) for k, v in seen._asdict().items()},
        }
        for name, case, seen in zip(names, cases, evidence, strict=True)
    }


def sample_frame(names: Sequence[str], cases: Sequence[Case], dataset: str, split: str) -> pd.DataFrame:
    """The rows of FAILURE_SAMPLES: all flagged images of every case."""
    frames = [
        pd.DataFrame({"failure_id": name, "dataset": dataset, "split": split, "image_id": case.images})
        for name, case in zip(names, cases, strict=True)
    ]
    empty = pd.DataFrame(columns=[name for name, _ in FAILURE_SAMPLES.columns])
    return pd.concat(frames, ignore_index=True) if frames else empty
