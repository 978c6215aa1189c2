"""Compares listed failure cases with what was planted: recall and precision, without files.

A case is true when at least half of its pictures are planted distractors of its class; a plant is
found when at least half of the pictures of some case of its class are that plant's distractors.
Recall is over plants that the rule could find at all: at least 10 distractors above the class's
confidence line. Artefact plants are left out of both and scored apart, because they are no failure of
the captions. Cases that were not planted are "unplanted", not false: the model may well do that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.failure_kinds import PAPER_KINDS

MIN_DISTRACTORS = 10
MIN_SHARE = 0.5
JUDGED = ["failure_id", "rank", "kind", "class_id", "planted_share", "plant_id", "plant_share", "verdict"]


def planted_images(truth: pd.DataFrame, plants: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Image ids of every plant's distractors, plant_id -> int64 ascending.

    truth : rows of one split of TRUTH; a plant's distractors have its value in its column, and an
    object that is not its own.
    """
    found = {}
    for plant in plants:
        rows = (truth[plant["column"]] == plant["value"]) & (truth["object"] != plant["thing"])
        found[plant["plant_id"]] = np.sort(truth.loc[rows, "image_id"].to_numpy())
    return found


def judge_cases(
    cases: pd.DataFrame, samples: pd.DataFrame, plants: pd.DataFrame, images: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """The cases with the share of their pictures that is planted, and by which plant.

    cases : failure_id, rank, kind, class_id; samples : failure_id, image_id;
    plants : plant_id, mode, class_id; images : distractors of every plant.
    Adds planted_share (pictures of any plant of the class), plant_id and plant_share (its best plant,
    "" if none) and verdict: planted, artefact or unplanted.
    """
    pictures = samples.groupby("failure_id")["image_id"].agg(list).to_dict()
    rows = []
    for case in cases.to_dict("records"):
        own = np.array(pictures.get(case["failure_id"], []), dtype=np.int64)
        here = plants[plants["class_id"] == case["class_id"]]
        shares = {p: _share(own, images[p]) for p in here["plant_id"]}
        best = max(shares, key=lambda p: shares[p], default="")
        union = [images[p] for p in here["plant_id"]] or [np.array([], dtype=np.int64)]
        share = _share(own, np.concatenate(union))
        artefact = best != "" and here.set_index("plant_id").loc[best, "mode"] == "artefact"
        verdict = "unplanted" if share < MIN_SHARE else "artefact" if artefact else "planted"
        rows.append(
            {
                **{key: case[key] for key in ("failure_id", "rank", "kind", "class_id")},
                "planted_share": share,
                "plant_id": best,
                "plant_share": shares.get(best, 0.0),
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows, columns=JUDGED)


def judge_plants(
    judged: pd.DataFrame, plants: pd.DataFrame, min_distractors: int = MIN_DISTRACTORS
) -> pd.DataFrame:
    """The plants with `found_at`: the best rank of a case that shows them, 0 if none does.

    plants : plant_id, mode, class_id, distractors, confident (those above the confidence line).
    """
    shown = judged[judged["plant_share"] >= MIN_SHARE].groupby("plant_id")["rank"].min()
    found_at = plants["plant_id"].map(shown).fillna(0).astype(int)
    return plants.assign(testable=plants["confident"] >= min_distractors, found_at=found_at)


def summary(judged: pd.DataFrame, plants: pd.DataFrame, max_rank: int | None) -> dict[str, Any]:
    """Recall and precision over the cases up to a rank (None is all), in total and per kind.

    Recall per kind goes by what was planted, precision per kind by what the case was listed as.
    """
    cases = judged[judged["verdict"] != "artefact"]
    found = plants["found_at"] > 0
    if max_rank is not None:
        cases = cases[cases["rank"] <= max_rank]
        found = found & (plants["found_at"] <= max_rank)
    # the column first: pandas gives a frame without rows the rows of an assigned column
    testable = plants.assign(found=found)[plants["testable"] & (plants["mode"] != "artefact")]
    true = cases["verdict"] == "planted"
    modes = cases["plant_id"].map(plants.set_index("plant_id")["mode"])
    record: dict[str, Any] = {
        **_ratio("recall", int(testable["found"].sum()), len(testable), "found", "testable"),
        **_ratio("precision", int(true.sum()), len(cases), "true", "listed"),
        **_ratio("kind_agreement", *_count((modes == cases["kind"])[true]), "agree", "of"),
    }
    record["kinds"] = {
        kind: {
            **_ratio("recall", *_count(testable[testable["mode"] == kind]["found"]), "found", "testable"),
            **_ratio("precision", *_count(true[cases["kind"] == kind]), "true", "listed"),
        }
        for kind in PAPER_KINDS
    }
    return record


def artefact_summary(judged: pd.DataFrame, plants: pd.DataFrame) -> dict[str, Any]:
    """How many artefact plants were listed as failures of the text prompt; few should be."""
    own = plants[plants["mode"] == "artefact"]
    listed = int((judged["verdict"] == "artefact").sum())
    found = int((own["found_at"] > 0).sum())
    return {"planted": len(own), "testable": int(own["testable"].sum()), "found": found, "cases": listed}


def _share(images: np.ndarray, planted: np.ndarray) -> float:
    return float(np.isin(images, planted).mean()) if len(images) else 0.0


def _count(flags: pd.Series) -> tuple[int, int]:
    return int(flags.sum()), len(flags)


def _ratio(name: str, part: int, whole: int, part_name: str, whole_name: str) -> dict[str, Any]:
    """The ratio (null for 0 of 0) with its two counts."""
    return {name: part / whole if whole else None, part_name: part, whole_name: whole}
