"""Stage `export_repair`: the mended classifier, in files that need nothing of this project.

  classifier.safetensors  weight float32 [C, p] and bias [C]: outputs = z/|z| . weight + bias, z of the
                          encoder's image tower; metadata: classes and prompts (JSON lists)
  prompts.yaml            class -> its prompts, whose mean is the row before any edit
  edits.json              what was done to which row, on what evidence; unit edits, which a row cannot hold;
                          cases without a repair; accuracy of all rows together on the judging half

Recommended repairs of one class add up: what each adds to the class's prompt is summed, the same one once. A
probe replaces the row. Rows are in the order of class_id; rows that nothing was done to are the prompts.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from safetensors import safe_open

from reliance.base.artifacts import (
    STAMP_KEY,
    Stamp,
    check_kind,
    check_same,
    derived_stamp,
    hash_arrays,
    read_table,
    write_json,
)
from reliance.base.errors import RelianceError
from reliance.base.tensors import write_tensors
from reliance.base.writing import atomic
from reliance.encoders.text import TEXT
from reliance.images.tables import CLASSES
from reliance.repair.paired import mean_change
from reliance.repair.schema import REPAIRS, VECTORS
from reliance.repair.trials import halves
from reliance.robustness.inputs import open_split, unit_blocks

KIND, SCHEMA = "repaired", 1


class Tried(NamedTuple):
    """What `try_repairs` wrote."""

    repairs: Path
    vectors: Path


class Repaired(NamedTuple):
    """The export."""

    classifier: Path
    prompts: Path
    edits: Path


class Sets(NamedTuple):
    """Prompts of the classes: those that outputs are about, and the sets that repairs choose from."""

    text: Path
    short: Path
    templated: Path
    extended: Path
    both: Path
    own: Path | None = None


class Row(NamedTuple):
    """A class of the mended classifier."""

    weight: np.ndarray  # float64 [p]
    bias: float
    prompts: list[str]


def export_repair(
    *,
    tried: Tried,
    sets: Sets,
    classes: Path,
    index: Path,
    embeddings: Path,
    repaired: Repaired,
    only: str | None = None,
    block_rows: int = 8192,
) -> Stamp:
    """Write the mended classifier; `only` : of one case alone.

    index, embeddings : of the images that repairs were judged on. Raises RelianceError if artifacts do not
    belong together, or for a case that is none.
    """
    table = read_table(tried.repairs, REPAIRS)
    weight, bias = read_vectors(tried, table.stamp)
    frame = _chosen(tried.repairs, table.frame, only)
    main = read_table(sets.text, TEXT)
    check_same("prompts", (tried.repairs, table.stamp.inputs["text"]), (sets.text, main.stamp.id))
    texts = main.frame[main.frame["class_id"] >= 0].sort_values("class_id")
    class_ids = texts["class_id"].to_numpy(np.int64)
    vectors = np.stack(texts["embedding"].to_list()).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    said = {name: _said(path) for name, path in sets._asdict().items() if path}
    names = read_table(classes, CLASSES).frame.set_index("class_id")["short_name"]
    rows = [
        mended(vector, said, int(c), frame[frame["class_id"] == c], (weight, bias))
        for c, vector in zip(class_ids, vectors, strict=True)
    ]
    new = np.stack([row.weight for row in rows]), np.array([row.bias for row in rows])
    judged = judge(index, embeddings, table.stamp, (class_ids, vectors, *new), block_rows)
    kept = frame[frame["recommended"]].to_dict("records")
    record = {
        "judged": judged,
        "edits": [_record({str(k): v for k, v in row.items()}, names) for row in kept],
        "without_repair": _without(frame),
        "how": "outputs = z/|z| . weight + bias; unit edits are no part of the rows",
    }
    tensors = {"weight": new[0].astype(np.float32), "bias": new[1].astype(np.float32)}
    params = {"only": only, "content": hash_arrays(tensors)}
    stamp = derived_stamp(KIND, SCHEMA, params, {"repairs": table.stamp.id, "text": main.stamp.id})
    known = [str(names[c]) for c in class_ids]
    metadata = {"classes": json.dumps(known), "prompts": json.dumps([row.prompts for row in rows])}
    write_tensors(repaired.classifier, tensors, {**metadata, STAMP_KEY: stamp.to_json()})
    listed = [{"class": name, "prompts": row.prompts} for name, row in zip(known, rows, strict=True)]
    with atomic(repaired.prompts) as temporary:
        temporary.write_text(yaml.safe_dump(listed, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return write_json(repaired.edits, record, stamp)


def mended(
    vector: np.ndarray,
    said: Mapping[str, Mapping[int, list[str]]],
    class_id: int,
    tried: pd.DataFrame,
    vectors: tuple[np.ndarray, np.ndarray],
) -> Row:
    """The row of a class from its prompt, unit [p], and what was tried for its cases, the strongest first.

    said : prompts by set and class. vectors : weight and bias of every row of the table of repairs.
    """
    weight, bias, prompts, done = vector.copy(), 0.0, said["text"][class_id], set[str]()
    columns = (tried.index, tried["repair"], tried["edit"], tried["recommended"])
    for place, repair, edit, recommended in zip(*(column.tolist() for column in columns), strict=True):
        if not recommended or repair == "unit_edit" or edit in done:
            continue
        if repair == "probe":
            return Row(vectors[0][place].astype(np.float64), float(vectors[1][place]), prompts)
        if repair == "words" and any("prompts" in json.loads(other) for other in done):
            continue  # a class has one set of prompts: that of its strongest case
        done.add(edit)
        weight += vectors[0][place] - vector
        prompts = said[json.loads(edit)["prompts"]][class_id] if repair == "words" else prompts
    return Row(weight, bias, prompts)


def judge(
    index: Path,
    embeddings: Path,
    stamp: Stamp,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    block_rows: int,
) -> dict[str, float | int | None]:
    """Zero-shot accuracy of all rows together, before and after, on the judging half of the images.

    stamp : of the table of repairs. rows : class_ids [C], prompts [C, p], weight [C, p], bias [C].
    """
    opened = open_split(index, embeddings, str(stamp.params["split"]))
    check_same("embeddings", (embeddings, opened.ids["embeddings"]), ("repairs", stamp.inputs["embeddings"]))
    image = np.arange(len(opened.class_ids))
    judging = ~halves(len(image), int(stamp.params["seed"])) & (image % int(stamp.params["every_nth"]) == 0)
    class_ids, before, after, bias = rows
    hits: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for at, unit in unit_blocks(opened.embeddings, judging & (opened.class_ids >= 0), block_rows):
        for found, weight, shift in ((hits[0], before, 0.0), (hits[1], after, bias)):
            winner = class_ids[(unit @ weight.T + shift).argmax(axis=1)]
            found.append((winner == opened.class_ids[at]).astype(float))
    change = mean_change(*(np.concatenate([np.zeros(0), *found]) for found in hits))
    numbers = {"top1_before": change.before, "top1_after": change.after, "error": change.error}
    return {"images": sum(map(len, hits[0])), **{k: None if np.isnan(v) else v for k, v in numbers.items()}}


def read_vectors(tried: Tried, stamp: Stamp) -> tuple[np.ndarray, np.ndarray]:
    """weight [R, p] and bias [R] of the rows of the table of repairs, whose stamp they must carry."""
    with safe_open(str(tried.vectors), framework="numpy") as file:
        own = Stamp.from_json((file.metadata() or {}).get(STAMP_KEY, "{}"))
        check_kind(tried.vectors, own, *VECTORS)
        check_same("repairs", (tried.vectors, own.inputs["repairs"]), (tried.repairs, stamp.id))
        return file.get_tensor("weight"), file.get_tensor("bias")


def _chosen(path: Path, frame: pd.DataFrame, only: str | None) -> pd.DataFrame:
    if only is None:
        return frame
    if only not in set(frame["case_id"]):
        raise RelianceError(
            path,
            "a case is asked for by its id",
            found=only,
            allowed=", ".join(dict.fromkeys(frame["case_id"])) or "no case was found",
            next_step="reliance repair VARIANT lists them",
        )
    return frame[frame["case_id"] == only]


def _without(frame: pd.DataFrame) -> list[str]:
    has = frame.groupby("case_id", sort=False)["recommended"].any()
    return [str(case_id) for case_id in has.index[~has]]


def _record(row: Mapping[str, Any], names: "pd.Series[str]") -> dict[str, Any]:
    numbers = {key: value for key, value in row.items() if key.startswith(("before_", "after_"))}
    return {
        **{key: row[key] for key in ("case_id", "kind", "repair", "choice")},
        "class_id": int(row["class_id"]),
        "class": str(names[row["class_id"]]),
        "edit": json.loads(row["edit"]),
        "in_classifier": row["repair"] != "unit_edit",
        "numbers": {k: None if np.isnan(v) else float(v) for k, v in numbers.items()},
    }


def _said(path: Path) -> dict[int, list[str]]:
    frame, _ = read_table(path, TEXT, columns=["class_id", "prompts"])
    return {int(c): [str(p) for p in own] for c, own in zip(frame["class_id"], frame["prompts"], strict=True)}
