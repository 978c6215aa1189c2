"""Stage `mine_families`: unexpected reliance on units and on families of units, tested together.

Families are units of their own (`tails.families`): expectations, z, p and q are those of `failures`. q is
one false discovery rate over all pairs of a class with a unit or a family that are ever active: a family is a
further hypothesis beside those of its members, not one in their place.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reliance.attribution.inputs import COMPUTING, LATENTS, Computing, Explained, Inputs, blocks, open_inputs
from reliance.base.artifacts import Stamp, check_same, read_table, write_table
from reliance.failures.measured import expected_of, open_mining_tail
from reliance.failures.outliers import MINING, Looked, Mining, decision_lines, mine
from reliance.failures.reference import Reference, reference
from reliance.failures.schema import OUTLIER_SAMPLES, OUTLIERS
from reliance.repair.families import levels_of
from reliance.repair.schema import CONFIDENT, FAMILIES
from reliance.tails.protocol import Tail


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
    contrastive: bool = False,
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
    expected = expected_of(inputs, tail, relevance, every_nth, computing.block_rows)
    known = reference(expected, inputs.class_ids, tail.units, computing.dtype)
    looked = Looked(every_nth, computing.block_rows, files.embeddings)
    frame, samples = mine(inputs, tail, known, (relevance, contrastive), rule, looked)
    shared = {"split": split, "every_nth": every_nth, "relevance": relevance, "dtype": computing.dtype}
    params = {**shared, **rule._asdict(), "contrastive": contrastive, "units": inputs.units.m}
    ids = {**inputs.ids, "families": table.stamp.id}
    stamp = write_table(outliers, frame, OUTLIERS, params, ids)
    own = {"outliers": stamp.id}
    write_table(outlier_samples, samples.assign(split=split), OUTLIER_SAMPLES, {}, own)
    write_table(confident, confident_frame(inputs, tail, known, rule, looked), CONFIDENT, {}, own)
    return stamp


def confident_frame(
    inputs: Inputs, tail: Tail, known: Reference, rule: Mining, looked: Looked
) -> pd.DataFrame:
    """Images of other classes above the line of each class: columns of CONFIDENT, by class and image."""
    line = decision_lines(known, rule.min_z, rule.confidence_std, tail.device).confident
    found = []
    for block in blocks(inputs, looked.every_nth, looked.block_rows):
        y = tail.score(block.x, block.values, block.indices, block.image_id).y
        above: np.ndarray = (y > line).cpu().numpy()
        above[np.arange(len(above)), block.label] = False
        row, column = np.nonzero(above)
        found.append((inputs.class_ids[column], block.image_id[row], y.cpu().numpy()[row, column]))
    columns = [np.concatenate([np.zeros(0), *part]) for part in zip(*found, strict=True)]
    frame = pd.DataFrame(dict(zip(("class_id", "image_id", "y"), columns, strict=True)))
    frame = frame.astype({"class_id": "int32", "image_id": "int64"})
    return frame.sort_values(["class_id", "image_id"], ignore_index=True)
