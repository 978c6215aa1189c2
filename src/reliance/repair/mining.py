"""Stage `mine_families`: unexpected reliance on units and on families of units, tested together.

Families are units of their own (`tails.families`): expectations, z, p and q are those of `failures`. q is
one false discovery rate over all pairs of a class with a unit or a family that are ever active: a family is a
further hypothesis beside those of its members, not one in their place.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.attribution.inputs import COMPUTING, LATENTS, Computing, Explained, open_inputs
from reliance.base.artifacts import Stamp, check_same, read_table, write_table
from reliance.failures.measured import expected_of, open_mining_tail
from reliance.failures.outliers import MINING, Looked, Mining, mine
from reliance.failures.reference import reference
from reliance.failures.scan import Above
from reliance.failures.schema import OUTLIER_SAMPLES, OUTLIERS
from reliance.repair.families import levels_of
from reliance.repair.schema import CONFIDENT, FAMILIES


def mine_families(
    files: Explained,
    *,
    families: Path,
    outliers: Path,
    outlier_samples: Path,
    confident: Path,
    split: str = "train",
    every_nth: int = 5,
    relevance: str = "act_x_grad",
    contrastive: bool = True,
    rule: Mining = MINING,
    units: str = LATENTS,
    computing: Computing = COMPUTING,
) -> Stamp:
    """Write flagged units and families, their images, and all high-confidence images of other classes.

    outliers, outlier_samples : outputs; component m + f is family f of `families`. confident : output,
    CONFIDENT. Expectations of families are measured on the way. Raises RelianceError if artifacts do not
    belong together.
    """
    inputs = open_inputs(files, split, units)
    table = read_table(families, FAMILIES)
    check_same("SAE", (families, table.stamp.inputs["sae"]), (files.sae or families, inputs.ids["sae"]))
    tail = open_mining_tail(inputs, computing, contrastive, levels_of(table))
    known = reference(  # what was expected is as large as all other tables, and not kept
        expected_of(inputs, tail, relevance, every_nth, computing.block_rows),
        inputs.class_ids,
        tail.units,
        computing.dtype,
    )
    looked = Looked(every_nth, computing.block_rows, files.embeddings)
    above: list[Above] = []
    frame, samples = mine(inputs, tail, known, (relevance, contrastive), rule, looked, above)
    shared = {"split": split, "every_nth": every_nth, "relevance": relevance, "dtype": computing.dtype}
    params = {**shared, **rule._asdict(), "contrastive": contrastive, "units": inputs.units.m}
    ids = {**inputs.ids, "families": table.stamp.id}
    stamp = write_table(outliers, frame, OUTLIERS, params, ids)
    own = {"outliers": stamp.id}
    write_table(outlier_samples, samples.assign(split=split), OUTLIER_SAMPLES, {}, own)
    write_table(confident, confident_frame(above, inputs.class_ids), CONFIDENT, {}, own)
    return stamp


def confident_frame(above: Sequence[Above], class_ids: np.ndarray) -> pd.DataFrame:
    """Images of other classes above the line of each class: columns of CONFIDENT, by class and image."""
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    row, image_id, y = (np.concatenate(column) for column in zip(empty, *above, strict=True))
    frame = pd.DataFrame({"class_id": class_ids[row].astype(np.int32), "image_id": image_id, "y": y})
    return frame.sort_values(["class_id", "image_id"], ignore_index=True)
