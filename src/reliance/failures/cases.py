"""Stage `list_cases`: flags become the list of failure cases that people review and the benchmark reads."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, check_same, derived_stamp, hash_file, read_table, write_table
from reliance.base.errors import RelianceError, make_again
from reliance.failures.evidence import gather_evidence
from reliance.failures.files import COLUMNS, FAILURE_SAMPLES, KIND, SCHEMA, write_failures
from reliance.failures.kinds import Evidence, suggest_kind
from reliance.failures.reviews import apply_reviews, failure_id, gone, read_reviews
from reliance.failures.schema import OUTLIER_SAMPLES, OUTLIERS
from reliance.failures.selection import Case, select_cases
from reliance.failures.sources import Origin, open_encoder_side, open_labeller_side

__all__ = ["FAILURE_SAMPLES", "list_cases"]
log = logging.getLogger(__name__)


def list_cases(
    *,
    outliers: Path,
    outlier_samples: Path,
    index: Path,
    classes: Path,
    top_samples: Path,
    components: Path,
    labels: Path,
    vocabulary: Path,
    embeddings: Path,
    head: Path,
    short: Path,
    extended: Path,
    words: Path,
    failures: Path,
    failure_samples: Path,
    dataset: str,
    labeller_head: Path | None = None,
    review: Path | None = None,
    split: str = "train",
    every_nth: int = 5,
    max_cases_per_class: int = 2,
    overlap: float = 0.5,
    top_n: int = 20,
    block_rows: int = 4096,
) -> Stamp:
    """Write the cases of a variant, by class and rank, and their images.

    outliers, outlier_samples : what was flagged. embeddings, head, short, extended, words : of the
    encoder, to tell kinds apart. labels (embeddings of the same images), labeller_head (if they are
    class tokens), vocabulary : of the labeller. review : what a person decided before, if anything.
    The .meta.json beside the list has the absorbed components and the evidence of every case, and
    the reviewed cases that are gone. Returns the stamp; raises RelianceError if artifacts do not
    belong together or the review is of another SAE.
    """
    flags, stamp = read_table(outliers, OUTLIERS)
    samples, samples_stamp = read_table(outlier_samples, OUTLIER_SAMPLES)
    check_same("outliers", (outlier_samples, samples_stamp.inputs["outliers"]), (outliers, stamp.id))
    _check_images(outliers, stamp, {"split": split, "every_nth": every_nth})
    origin, sae_id = Origin(outliers, stamp.inputs), stamp.inputs["sae"]
    encoder = open_encoder_side(
        index=index,
        embeddings=embeddings,
        head=head,
        short=short,
        extended=extended,
        words=words,
        split=split,
        every_nth=every_nth,
        origin=origin,
    )
    labeller = open_labeller_side(
        components=components,
        top_samples=top_samples,
        labels=labels,
        labeller_head=labeller_head,
        vocabulary=vocabulary,
        classes=classes,
        origin=origin,
    )
    reviews = read_reviews(review, sae_id) if review else {}
    cases = select_cases(flags, samples, max_cases_per_class, overlap)
    evidence = gather_evidence(cases, encoder, labeller, top_n, block_rows)
    frame = apply_reviews(case_frame(cases, evidence, sae_id), reviews)
    names, lost = frame["failure_id"].tolist(), gone(frame, reviews)
    params = {"dataset": dataset, "split": split, "every_nth": every_nth, "overlap": overlap}
    params |= {"max_cases_per_class": max_cases_per_class, "top_n": top_n}
    params |= {"review": hash_file(review) if review else None}
    ids = {**encoder.ids, **labeller.ids, "outliers": stamp.id, "sae": sae_id}
    listed = derived_stamp(KIND, SCHEMA, params, ids)
    write_failures(failures, frame, listed, gone=lost, cases=case_details(names, cases, evidence))
    images = sample_frame(names, cases, dataset, split)
    write_table(failure_samples, images, FAILURE_SAMPLES, {}, {"failures": listed.id})
    log.info("%d cases from %d flags; reviewed cases that are gone: %s", len(frame), len(flags), lost)
    return listed


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
