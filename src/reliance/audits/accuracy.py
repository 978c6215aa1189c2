"""Stage `audit_accuracies`: accuracies of an audit's probes per class, with their errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from reliance.audits.drops import verdict
from reliance.audits.files import Probes, load_probes
from reliance.audits.inputs import check_both, lengths_of, read_split_table, unit_embeddings
from reliance.audits.schema import (
    ACCURACIES,
    AUDIT_KIND,
    AUDIT_SCHEMA,
    CHOICE_KIND,
    CHOICE_SCHEMA,
    INCREASED,
    NONE,
    REDUCED,
)
from reliance.base.artifacts import Stamp, check_same, derived_stamp, read_json, write_json, write_table
from reliance.base.errors import RelianceError
from reliance.robustness.inputs import Embedded, open_split


def audit_accuracies(
    *,
    index: Path,
    audit_split: Path,
    embeddings: Path,
    increased: Path,
    probe: Path,
    choice: Path,
    accuracies: Path,
    audit: Path,
    reduced: Path | None = None,
    block_rows: int = 8192,
    threads: int = 1,
) -> Stamp:
    """Stage: accuracies per class on held-out images, as they are and with their content changed.

    Parameters
    ----------
    embeddings, increased, reduced : the split that is tested on, as it is and under the two transforms.
    probe, choice : from fit_audit. accuracies : output, ACCURACIES. audit : output (JSON).

    Images that cannot be read under one of them are left out of all. Raises RelianceError if artifacts do not
    match, if a changed split was not changed, or if no image of a class can be read.
    """
    (frame, drawn), (probes, stamp) = read_split_table(audit_split, index), load_probes(probe)
    said, choice_stamp = read_json(choice, CHOICE_KIND, CHOICE_SCHEMA)
    check_same("audit_split", (probe, stamp.inputs["audit_split"]), (audit_split, drawn.id))
    check_same("probe", (choice, choice_stamp.inputs["probe"]), (probe, stamp.id))
    split = "test" if drawn.params["test_on"] == "test" else "train"
    given = {REDUCED: reduced, NONE: embeddings, INCREASED: increased}
    opened = {name: open_split(index, path, split) for name, path in given.items() if path}
    transforms = _transforms(opened, given, (probe, stamp.inputs["weights"]))
    held_out = frame[(frame["split"] == split) & ~frame["fit"]].sort_values("image_id")
    rows = held_out["image_id"].to_numpy()
    readable = np.logical_and.reduce([o.readable[rows] for o in opened.values()])
    with threadpool_limits(threads):
        units = {name: unit_embeddings(o, rows[readable], block_rows) for name, o in opened.items()}
        positive = held_out["positive"].to_numpy(bool)[readable]
        check_both(audit_split, positive, drawn.params["names"], "held-out")
        lengths = {n: lengths_of(o, rows[readable], block_rows) for n, o in opened.items() if probes.raw}
        table = accuracy_rows(probes, units, positive, lengths)
    ids = {f"embeddings_{name}": o.ids["embeddings"] for name, o in opened.items()}
    ids |= {
        "index": drawn.inputs["index"],
        "audit_split": drawn.id,
        "probe": stamp.id,
        "choice": choice_stamp.id,
    }
    found = write_table(accuracies, table, ACCURACIES, {"split": split, "names": drawn.params["names"]}, ids)
    payload = {**said, **verdict(table, said["alpha"]), "transforms": transforms, "split": split}
    stamped = derived_stamp(AUDIT_KIND, AUDIT_SCHEMA, {"split": split}, {**ids, "accuracies": found.id})
    return write_json(audit, payload, stamped)


def accuracy(correct: np.ndarray) -> tuple[float, float]:
    """Share p of correct answers [n] bool, and its standard error sqrt(p (1 - p) / n); nan for none."""
    if not len(correct):
        return np.nan, np.nan
    p = float(np.mean(correct))
    return p, float(np.sqrt(p * (1 - p) / len(correct)))


def accuracy_rows(
    probes: Probes,
    units: Mapping[str, np.ndarray],
    positive: np.ndarray,
    lengths: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Rows of ACCURACIES.

    units : change -> unit embeddings [n, p] of the changed images. positive : bool [n], their class.
    lengths : [n] each, that they had, for a given probe that reads them. An image is taken for the positive
    class if its log-odds are above 0.
    """
    rows = []
    correct = {
        change: (probes.log_odds(unit, (lengths or {}).get(change)) > 0) == positive[:, None]
        for change, unit in units.items()
    }
    for change, found in correct.items():
        for i, (name, alpha) in enumerate(zip(probes.names(), probes.alpha.tolist(), strict=True)):
            for side in (True, False):
                own = positive == side
                fell = correct[NONE][own, i].astype(float) - found[own, i]
                paired = np.nan if change == NONE or not own.any() else fell.std() / np.sqrt(len(fell))
                rows.append((name, alpha, change, side, int(own.sum()), *accuracy(found[own, i]), paired))
    columns = ["probe", "alpha", "change", "positive", "n", "accuracy", "sem", "paired_sem"]
    return pd.DataFrame(rows, columns=columns)


def _transforms(
    opened: dict[str, Embedded], paths: dict[str, Path | None], weights: tuple[Path, str]
) -> dict[str, Any]:
    """The transform of each changed split, checked."""
    found = {name: o.embeddings.stamp.params.get("transform") for name, o in opened.items()}
    for name, o in opened.items():
        check_same("encoder weights", (o.embeddings.path, o.ids["weights"]), weights)
        if (found[name] is None) != (name == NONE):
            raise RelianceError(
                paths[name],
                "the probe is tested on images as they are, and on changed ones",
                found=f"transform {found[name]} where the content is to be '{name}'",
                allowed="no transform for 'none', one for the others",
                next_step="check which manifests the rule names",
            )
    return {name: transform for name, transform in found.items() if transform}
