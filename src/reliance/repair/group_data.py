"""Stage `score_groups`: accuracy per group of images, and whether cases find the attribute that groups share.

A data set may have a table of attributes per image (`datasets.X.groups`: image, and a column per attribute,
as CelebA, Waterbirds or MetaShift have them). A group is a class with a value of an attribute. Accuracy is
zero-shot, by the prompts and by the mended classifier (`repair.export`), on the test split. For a case stands
the value that most of its images share beyond what images of other classes have anyway.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from safetensors import safe_open

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    check_same,
    derived_stamp,
    read_json,
    read_table,
    write_json,
)
from reliance.images.groups import GROUPS
from reliance.images.tables import read_split
from reliance.repair.export import KIND as EXPORT
from reliance.repair.export import SCHEMA as EXPORT_SCHEMA
from reliance.repair.schema import CASE_IMAGES, CASES
from reliance.robustness.inputs import open_split, unit_blocks

KIND, SCHEMA = "group_scores", 2
FEW = 10  # images below which a group is no worst group
MOST_VALUES = 60  # of an attribute; above, it is an id
MOST_OF = 0.5  # of a case's images: what fewer have in common says little
APART = 0.25  # by which their share is larger than that of others: what these have as well says little


class Mended(NamedTuple):
    """The export of repairs."""

    classifier: Path
    edits: Path


class Found(NamedTuple):
    """The cases and their images, of the training split."""

    cases: Path
    case_images: Path


def score_groups(
    *,
    index: Path,
    groups: Path,
    embeddings: Path,
    text: Path,
    mended: Mended,
    found: Found,
    scores: Path,
    few: int = FEW,
    block_rows: int = 8192,
) -> Stamp:
    """Write {"attributes": {name: {"groups", "worst_before", "worst_after"}}, "cases": [...]} (JSON).

    groups : GROUPS, the attributes. embeddings : of the test split. text : prompts of the classes. few :
    images of a group at least, to be the worst. Raises RelianceError if artifacts do not belong together.
    """
    opened, table = open_split(index, embeddings, "test"), read_table(groups, GROUPS)
    check_same("index", (groups, table.stamp.inputs["index"]), (index, opened.ids["index"]))
    prompts, (_, repaired) = read_prompts(text), read_json(mended.edits, EXPORT, EXPORT_SCHEMA)
    check_same("prompts", (mended.edits, repaired.inputs["text"]), (text, prompts.stamp.id))
    with safe_open(str(mended.classifier), framework="numpy") as file:
        own = Stamp.from_json((file.metadata() or {}).get(STAMP_KEY, "{}"))
        check_same("repairs", (mended.classifier, own.id), (mended.edits, repaired.id))
        weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
    hits = np.full((2, len(opened.class_ids)), np.nan)
    for at, unit in unit_blocks(opened.embeddings, opened.class_ids >= 0, block_rows):
        for row, outputs in enumerate((unit @ prompts.vectors.T, unit @ weight.T + bias)):
            hits[row, at] = prompts.class_ids[outputs.argmax(axis=1)] == opened.class_ids[at]
    frame = table.frame
    attributes = {
        str(name): accuracies(_values(own[own["split"] == "test"], len(hits[0])), opened.class_ids, hits, few)
        for name, own in frame.groupby("name")
    }
    cases, images = read_table(found.cases, CASES), read_table(found.case_images, CASE_IMAGES)
    check_same("cases", (found.case_images, images.stamp.inputs["cases"]), (found.cases, cases.stamp.id))
    labels = read_split(index, "train").class_ids
    train = {
        str(name): _values(own[own["split"] == "train"], len(labels)) for name, own in frame.groupby("name")
    }
    shared = [
        {"case_id": case_id, **shared_value(train, labels, int(c), own)}
        for case_id, c, own in _with_images(cases.frame, images.frame)
    ]
    ids = {"groups": table.stamp.id, "repaired": repaired.id, "cases": cases.stamp.id, **opened.ids}
    record = {"attributes": attributes, "cases": shared}
    return write_json(scores, record, derived_stamp(KIND, SCHEMA, {"few": few}, ids))


def accuracies(values: np.ndarray, labels: np.ndarray, hits: np.ndarray, few: int) -> dict[str, Any]:
    """Accuracies of every group, and of the worst one with `few` images or more, before and after.

    values : of an attribute, str objects [N], "" without one. labels : class_ids [N]. hits : before and
    after, float [2, N], nan where an image does not count.
    """
    counted = (values != "") & np.isfinite(hits[0])
    rows = pd.DataFrame({"class_id": labels, "value": values, "before": hits[0], "after": hits[1]})[counted]
    grouped = rows.groupby(["class_id", "value"])
    found = grouped[["before", "after"]].mean().assign(images=grouped.size()).reset_index()
    large = found[found["images"] >= few]
    record = {"groups": found.to_dict("records"), "images": len(rows)}
    for side in ("before", "after"):
        record[f"worst_{side}"] = float(large[side].min()) if len(large) else None
        record[f"mean_{side}"] = float(rows[side].mean()) if len(rows) else None
    return record


def shared_value(
    attributes: Mapping[str, np.ndarray], labels: np.ndarray, class_id: int, images: np.ndarray
) -> dict[str, Any]:
    """The value that sets a case's images apart from other images of other classes most.

    MOST_OF of the images have it at least, a share that is larger than that of the others by APART at least.

    attributes : name -> values [N]; those with more than MOST_VALUES are ids, and left out. Gives attribute,
    value, its share among the images, and elsewhere; "" and 0 if there is none. images : how many there are.
    """
    best: dict[str, Any] = {"attribute": "", "value": "", "share": 0.0, "elsewhere": 0.0}
    best["images"] = len(images)
    others = (labels >= 0) & (labels != class_id)
    others[images] = False
    for name, values in attributes.items():
        if not is_attribute(values):
            continue
        known, counts = np.unique(values[images][values[images] != ""], return_counts=True)
        for value, count in zip(known, counts, strict=True):
            share = float(count / len(images))
            elsewhere = float((values[others] == value).mean()) if others.any() else 0.0
            more = share - elsewhere
            if share >= MOST_OF and more >= APART and more > best["share"] - best["elsewhere"]:
                best |= {"attribute": name, "value": str(value), "share": share, "elsewhere": elsewhere}
    return best


def is_attribute(values: Sequence[str] | np.ndarray) -> bool:
    """Whether values are those of an attribute, and no ids of patients and the like."""
    return 1 < len(set(values) - {""}) <= MOST_VALUES


def _values(own: pd.DataFrame, count: int) -> np.ndarray:
    """Values of one attribute by image_id, "" without one: str objects [count]."""
    found = np.full(count, "", object)
    found[own["image_id"].to_numpy()] = own["value"].to_numpy(object)
    return found


def _with_images(cases: pd.DataFrame, images: pd.DataFrame) -> list[tuple[str, int, np.ndarray]]:
    shown = images.groupby("case_id")["image_id"].agg(list).to_dict()
    pairs = zip(cases["case_id"], cases["class_id"], strict=True)
    return [(str(case), int(c), np.array(shown[case], np.int64)) for case, c in pairs]
