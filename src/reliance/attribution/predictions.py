"""What drives each prediction, for people: the class of an image and the class that wins, side by side."""

from pathlib import Path

import numpy as np
import torch

from reliance.attribution.inputs import (
    COMPUTING,
    LATENTS,
    Again,
    Computing,
    Explained,
    blocks,
    open_inputs,
    open_tail,
)
from reliance.base.artifacts import Stamp, TableSpec, check_same, read_table
from reliance.base.stamps import read_stamp
from reliance.base.streams import writing_table
from reliance.images.tables import CLASSES, read_split
from reliance.naming.table import COMPONENTS
from reliance.tails.protocol import ABLATION

PREDICTIONS = TableSpec(
    "predictions",
    1,
    (
        ("image_id", "int64"),
        ("path", "string"),  # below the root of the data set
        ("class_id", "int32"),  # that the image has
        ("class", "string"),
        ("y", "float32"),  # its output
        ("predicted_id", "int32"),  # with the largest output
        ("predicted", "string"),
        ("y_predicted", "float32"),
        ("component", "int32"),
        ("name", "string"),
        ("alignment", "float32"),  # how well the name fits; 0 without a name
        ("activation", "float32"),
        ("effect", "float32"),  # on y, exact: what leaving the component out takes away (Eq. 5)
        ("effect_predicted", "float32"),  # on y_predicted
    ),
)


def explain_predictions(
    files: Explained,
    *,
    classes: Path,
    components: Path,
    named_by: Path,
    predictions: Path,
    split: str = "test",
    units: str = LATENTS,
    computing: Computing = COMPUTING,
    again: Again | None = None,
) -> Stamp:
    """Write the effect of every active component on the outputs of an image's own class and of the winner.

    classes, components : names of both. named_by : codes that components were named by. predictions :
    output, PREDICTIONS; by image, the strongest absolute effect on the winning class first. Images without a
    class and unreadable ones are left out. Written block by block. Raises RelianceError if artifacts do not
    match.
    """
    inputs = open_inputs(files, split, units, again)
    named, trained = read_table(components, COMPONENTS), read_stamp(named_by)
    check_same("codes", (components, named.stamp.inputs["codes"]), (named_by, trained.id))
    check_same("sae", (named_by, trained.inputs["sae"]), (inputs.units.path, inputs.ids["sae"]))
    labels, fits = named.frame["label"].to_numpy(object), named.frame["alignment"].fillna(0).to_numpy()
    short = read_table(classes, CLASSES).frame.set_index("class_id")["short_name"]
    name = short.reindex(inputs.class_ids).fillna("").to_numpy(object)
    paths = read_split(files.index, split).paths
    tail = open_tail(inputs.units, inputs.head, inputs.text, computing)
    ids = {**inputs.ids, "components": named.stamp.id}
    with writing_table(predictions, PREDICTIONS, {"split": split}, ids) as table:
        for block in blocks(inputs, 1, computing.block_rows):
            scores = tail.score(block.x, block.values, block.indices, block.image_id)
            rows = torch.arange(len(scores.y), device=scores.y.device)
            own, best = torch.as_tensor(block.label, device=scores.y.device), scores.y.argmax(dim=1)
            y = [scores.y[rows, chosen].cpu().numpy() for chosen in (own, best)]
            effects = [scores.relevance(ABLATION, rows, chosen).cpu().numpy() for chosen in (own, best)]
            image, place = np.nonzero(block.values)
            order = np.lexsort((-np.abs(effects[1][image, place]), image))
            image, place = image[order], place[order]
            unit, sides = block.indices[image, place], (block.label[image], best.cpu().numpy()[image])
            columns = [(inputs.class_ids[c], name[c], out[image]) for c, out in zip(sides, y, strict=True)]
            table.write(
                [
                    block.image_id[image],
                    paths[block.image_id[image]],
                    *columns[0],
                    *columns[1],
                    unit,
                    labels[unit],
                    fits[unit],
                    block.values[image, place],
                    *(effect[image, place] for effect in effects),
                ]
            )
    return table.stamp
