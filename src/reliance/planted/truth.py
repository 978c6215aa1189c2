"""What was planted, picture by picture; the plants as cases; the score of mined cases against them."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import (
    check_same,
    derived_stamp,
    read_json,
    read_table,
    write_json,
    write_table,
)
from reliance.base.errors import RelianceError, run_again
from reliance.encoders.stored import Embeddings
from reliance.failures.case_list import (
    COLUMNS,
    FAILURE_SAMPLES,
    KIND,
    SCHEMA,
    read_failures,
    read_samples,
    write_failures,
)
from reliance.failures.cases import Flagged
from reliance.failures.schema import EXPECTATIONS, OUTLIER_SAMPLES, OUTLIERS
from reliance.failures.selection import select_cases
from reliance.images.tables import CLASSES, INDEX
from reliance.planted import scoring
from reliance.planted.table import PLANTS, TRUTH

log = logging.getLogger(__name__)


def planted_cases(
    *,
    truth: Path,
    plants: Path,
    classes: Path,
    failures: Path,
    failure_samples: Path,
    index: Path | None = None,
    dataset: str,
    split: str = "train",
) -> None:
    """Write every plant as a failure case whose images are all its distractors.

    truth, plants : what `render_planted` wrote; classes : CLASSES of the same data set.
    index : needed if it has only some of the pictures (a rehearsal).
    failures, failure_samples : outputs; failure_id is the plant_id, source "planted", reviewed "yes",
    mode "artefact" for artefact plants (kind spurious) and else "caption".
    """
    frame, records, inputs = read_planted(truth, plants, classes, index, split)
    images = scoring.planted_images(frame, records)
    rows = [
        {
            "failure_id": plant["plant_id"],
            "rank": 1,
            "kind": "spurious" if plant["mode"] == "artefact" else plant["mode"],
            "mode": "artefact" if plant["mode"] == "artefact" else "caption",
            "class_id": plant["class_id"],
            "source": "planted",
            "component": -1,
            "score": np.nan,
            "q_value": np.nan,
            "reviewed": "yes",
            "note": f"planted: {plant['column']} is {plant['value']}",
        }
        for plant in records
    ]
    stamp = derived_stamp(KIND, SCHEMA, {"source": "planted", "dataset": dataset, "split": split}, inputs)
    write_failures(failures, pd.DataFrame(rows, columns=list(COLUMNS)), stamp)
    samples = [(name, dataset, split, int(i)) for name, ids in images.items() for i in ids]
    columns = [name for name, _ in FAILURE_SAMPLES.columns]
    table = pd.DataFrame(samples, columns=columns)
    write_table(failure_samples, table, FAILURE_SAMPLES, {}, {"failures": stamp.id})


class Mined(NamedTuple):
    """A list of mined cases, and their images."""

    failures: Path
    failure_samples: Path


class Planted(NamedTuple):
    """What was planted."""

    truth_table: Path
    plants: Path
    classes: Path


class Rule(NamedTuple):
    """Which images count, and how flags become cases, as in mining."""

    split: str = "train"
    every_nth: int = 1
    confidence_std: float = 1.5
    min_samples: int = scoring.MIN_DISTRACTORS
    overlap: float = 0.5


RULE = Rule()


def score_truth(
    *,
    mined: Mined,
    flagged: Flagged,
    planted: Planted,
    index: Path,
    embeddings: Path,
    text: Path,
    expectations: Path,
    truth: Path,
    rule: Rule = RULE,
) -> None:
    """Write recall and precision of mined cases against what was planted, and the lists behind them.

    embeddings, text : of the encoder. expectations : of its latents.
    truth : output, JSON with "rank_1", "all" (both as `scoring.summary`), "ranked"
        (`scoring.ranked_summary`, of every case that the flags make), "artefact", "plants", "cases".
    A plant counts for recall if at least `rule.min_samples` of its distractors have an output above the
    class's mean - `rule.confidence_std` standard deviations (from `expectations`).
    Raises RelianceError if artifacts do not belong together.
    """
    frame, records, inputs = read_planted(*planted, index, rule.split)
    frame = frame[frame["image_id"] % rule.every_nth == 0]
    images = scoring.planted_images(frame, records)
    parts, prompts = Embeddings(embeddings), read_prompts(text)
    weights = (embeddings, parts.stamp.inputs["weights"])
    check_same("encoder weights", (text, prompts.stamp.inputs["weights"]), weights)
    check_same("image index", (embeddings, parts.stamp.inputs["index"]), (index, inputs["index"]))
    expected = read_table(expectations, EXPECTATIONS)
    reference = expected.stamp.inputs
    check_same("embeddings", (expectations, reference["embeddings"]), (embeddings, parts.stamp.id))
    check_same("prompts", (expectations, reference["text"]), (text, prompts.stamp.id))
    whole = expected.frame[expected.frame["component"] < 0].set_index("class_id")
    line = whole["y_mean"] - rule.confidence_std * whole["y_std"]
    vectors = dict(zip(prompts.class_ids.tolist(), prompts.vectors, strict=True))
    for plant in records:
        ids = images[plant["plant_id"]]
        y = outputs(parts.z_of(ids), vectors[plant["class_id"]])
        plant["distractors"], plant["confident"] = len(ids), int((y > line[plant["class_id"]]).sum())
    cases, stamp = read_failures(mined.failures)
    samples, _ = read_samples(mined.failure_samples)
    listed = pd.DataFrame(records)
    judged = scoring.judge_cases(cases, samples[samples["split"] == rule.split], listed, images)
    candidates, flags = judge_candidates(flagged, rule.overlap, listed, images)
    check_same("outliers", (flagged.outliers, flags), (mined.failures, stamp.inputs["outliers"]))
    payload = score_record(judged, scoring.judge_plants(judged, listed, rule.min_samples))
    payload["ranked"] = scoring.ranked_summary(candidates)
    log.info("recall %(recall)s, precision %(precision)s over all listed cases", payload["all"])
    inputs |= {"failures": stamp.id, "expectations": expected.stamp.id, "text": prompts.stamp.id}
    inputs["outliers"] = flags
    write_json(truth, payload, derived_stamp("truth_score", 2, rule._asdict(), inputs))


def judge_candidates(
    flagged: Flagged, overlap: float, plants: pd.DataFrame, images: dict[str, np.ndarray]
) -> tuple[pd.DataFrame, str]:
    """Every case that the flags make, judged, with its score; and the id of the outliers."""
    flags, stamp = read_table(flagged.outliers, OUTLIERS)
    samples, samples_stamp = read_table(flagged.outlier_samples, OUTLIER_SAMPLES)
    own = (flagged.outliers, stamp.id)
    check_same("outliers", (flagged.outlier_samples, samples_stamp.inputs["outliers"]), own)
    return judge_flags(flags, samples, overlap, plants, images), stamp.id


def judge_flags(
    flags: pd.DataFrame,
    samples: pd.DataFrame,
    overlap: float,
    plants: pd.DataFrame,
    images: dict[str, np.ndarray],
) -> pd.DataFrame:
    """The same from the columns of OUTLIERS and OUTLIER_SAMPLES."""
    found = select_cases(flags, samples, max(1, len(flags)), overlap)
    rows = [(str(i), case.rank, "", case.class_id, case.score) for i, case in enumerate(found)]
    listed = pd.DataFrame(rows, columns=["failure_id", "rank", "kind", "class_id", "score"])
    names = np.repeat(listed["failure_id"].to_numpy(object), [len(case.images) for case in found])
    pictures = np.concatenate([np.zeros(0, np.int64), *(case.images for case in found)])
    shown = pd.DataFrame({"failure_id": names, "image_id": pictures})
    judged = scoring.judge_cases(listed, shown, plants, images)
    return judged.merge(listed[["failure_id", "score"]], on="failure_id")


def outputs(z: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """y = cos(z, t) of image embeddings z [n, p] and one unit text vector t [p] (Eq. 4), float64 [n]."""
    z = z.astype(np.float64)
    return np.asarray(z @ vector / np.linalg.norm(z, axis=1))


def score_record(judged: pd.DataFrame, plants: pd.DataFrame) -> dict[str, Any]:
    """The content of truth.json from judged cases and plants."""
    columns = ["plant_id", "mode", "class_id", "distractors", "confident", "testable", "found_at"]
    return {
        "rank_1": scoring.summary(judged, plants, 1),
        "all": scoring.summary(judged, plants, None),
        "artefact": scoring.artefact_summary(judged, plants),
        "plants": plants[columns].to_dict("records"),
        "cases": judged.to_dict("records"),
    }


def read_planted(
    truth: Path, plants: Path, classes: Path, index: Path | None, split: str
) -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, str]]:
    """(truth of a split under the index's image_ids, plants with class_id, ids of what was read)."""
    table = read_table(truth, TRUTH)
    payload, stamp = read_json(plants, *PLANTS)
    check_same("drawn pictures", (plants, stamp.inputs["truth"]), (truth, table.stamp.id))
    known = read_table(classes, CLASSES)
    class_ids = dict(zip(known.frame["folder"], known.frame["class_id"].tolist(), strict=True))
    # a rehearsal of few images may have left a whole class out
    records = [{**p, "class_id": class_ids[p["class"]]} for p in payload["plants"] if p["class"] in class_ids]
    inputs = {"truth": table.stamp.id, "plants": stamp.id, "classes": known.stamp.id}
    frame = table.frame[table.frame["split"] == split]
    if index is None:
        return frame, records, inputs
    images = read_table(index, INDEX)
    rows = images.frame[images.frame["split"] == split]
    if not rows["path"].isin(frame["path"]).all():
        raise RelianceError(
            index,
            f"every picture of the index must be in {truth}",
            found=str(rows["path"][~rows["path"].isin(frame["path"])].iloc[0]),
            allowed="pictures drawn together with the truth table",
            next_step="pictures were added by hand, or the index is older: " + run_again("index_images"),
        )
    frame = frame.drop(columns="image_id").merge(rows[["path", "image_id"]], on="path")
    return frame, records, {**inputs, "index": images.stamp.id}
