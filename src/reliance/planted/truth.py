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
from reliance.base.errors import RelianceError
from reliance.encoders.stored import Embeddings
from reliance.failures.files import (
    COLUMNS,
    FAILURE_SAMPLES,
    KIND,
    SCHEMA,
    read_failures,
    read_samples,
    write_failures,
)
from reliance.failures.schema import EXPECTATIONS
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
    frame, records, inputs = _read_planted(truth, plants, classes, index, split)
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


def score_truth(
    *,
    mined: Mined,
    planted: Planted,
    index: Path,
    embeddings: Path,
    text: Path,
    expectations: Path,
    truth: Path,
    split: str = "train",
    every_nth: int = 1,
    confidence_std: float = 1.5,
    min_samples: int = scoring.MIN_DISTRACTORS,
) -> None:
    """Write recall and precision of mined cases against what was planted, and the lists behind them.

    embeddings, text : of the encoder. expectations : of its latents.
    truth : output, JSON with "rank_1", "all" (both as `scoring.summary`), "artefact", "plants", "cases".
    A plant counts for recall if at least `min_samples` of its distractors have an output above the
    class's mean - `confidence_std` standard deviations (from `expectations`).
    Raises RelianceError if artifacts do not belong together.
    """
    frame, records, inputs = _read_planted(*planted, index, split)
    frame = frame[frame["image_id"] % every_nth == 0]
    images = scoring.planted_images(frame, records)
    parts = Embeddings(embeddings)
    prompts = read_prompts(text)
    weights = (embeddings, parts.stamp.inputs["weights"])
    check_same("encoder weights", (text, prompts.stamp.inputs["weights"]), weights)
    check_same("image index", (embeddings, parts.stamp.inputs["index"]), (index, inputs["index"]))
    expected = read_table(expectations, EXPECTATIONS)
    reference = expected.stamp.inputs
    check_same("embeddings", (expectations, reference["embeddings"]), (embeddings, parts.stamp.id))
    check_same("prompts", (expectations, reference["text"]), (text, prompts.stamp.id))
    whole = expected.frame[expected.frame["component"] < 0].set_index("class_id")
    line = whole["y_mean"] - confidence_std * whole["y_std"]
    vectors = dict(zip(prompts.class_ids.tolist(), prompts.vectors, strict=True))
    for plant in records:
        ids = images[plant["plant_id"]]
        y = outputs(parts.z_of(ids), vectors[plant["class_id"]])
        plant["distractors"], plant["confident"] = len(ids), int((y > line[plant["class_id"]]).sum())
    cases, stamp = read_failures(mined.failures)
    samples, _ = read_samples(mined.failure_samples)
    listed = pd.DataFrame(records)
    judged = scoring.judge_cases(cases, samples[samples["split"] == split], listed, images)
    payload = score_record(judged, scoring.judge_plants(judged, listed, min_samples))
    log.info("recall %(recall)s, precision %(precision)s over all listed cases", payload["all"])
    settings = {"every_nth": every_nth, "confidence_std": confidence_std, "min_samples": min_samples}
    inputs |= {"failures": stamp.id, "expectations": expected.stamp.id, "text": prompts.stamp.id}
    write_json(truth, payload, derived_stamp("truth_score", 1, {**settings, "split": split}, inputs))


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


def _read_planted(
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
            next_step="pictures were added by hand, or the index is older: run with --forcerun index_images",
        )
    frame = frame.drop(columns="image_id").merge(rows[["path", "image_id"]], on="path")
    return frame, records, {**inputs, "index": images.stamp.id}
