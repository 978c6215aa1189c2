"""The attribution table: what each active unit adds to the score of an image's own class."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from reliance.attribution.inputs import (
    COMPUTING,
    LATENTS,
    Again,
    Computing,
    Explained,
    LabelledImages,
    blocks,
    open_inputs,
    open_tail,
)
from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.base.artifacts import Stamp
from reliance.base.streams import writing_table
from reliance.tails.protocol import ABLATION, ACT_X_GRAD, EQUATION_6, Scores, Tail

__all__ = ["ATTRIBUTIONS", "OUTPUTS", "attribute_split"]
log = logging.getLogger(__name__)


def attribute_split(
    files: Explained,
    *,
    attributions: Path,
    outputs: Path,
    split: str,
    every_nth: int = 1,
    units: str = LATENTS,
    computing: Computing = COMPUTING,
    again: Again | None = None,
) -> Stamp:
    """Write the relevances (Eq. 5) of every active unit for each image's own class, and its output y.

    Rows exist for active units only: a mean over images must count the absent ones as zero. `outputs` has
    every image. Images without a class and unreadable ones are left out. Written block by block, so memory
    does not grow with the split. Returns the stamp; raises RelianceError if artifacts do not match.
    """
    inputs = open_inputs(files, split, units, again)
    tail = open_tail(inputs.units, inputs.head, inputs.text, computing)
    alone = tail.alone().cpu().numpy()
    params = {"split": split, "every_nth": every_nth, "dtype": computing.dtype, "components": tail.units}
    images = 0
    with writing_table(attributions, ATTRIBUTIONS, params, inputs.ids) as table:
        ids = {**inputs.ids, "attributions": table.stamp.id}
        with writing_table(outputs, OUTPUTS, params, ids) as scored:
            for block in blocks(inputs, every_nth, computing.block_rows):
                scores = tail.score(block.x, block.values, block.indices, block.image_id)
                if not images:
                    log_beta_error(tail, scores, block.label)
                own, columns = attribute_block(block, scores, alone, inputs.class_ids)
                table.write(columns)
                scored.write([block.image_id, inputs.class_ids[block.label], own])
                images += len(block.image_id)
    log.info("attributed %d images of %s", images, split)
    return table.stamp


def log_beta_error(tail: Tail, scores: Scores, label: np.ndarray) -> None:
    """Log how far Eq. 6, which leaves out the bias of the LayerNorm, is from act x grad on a block.

    It is sum |difference| / sum |act x grad| over the images' own classes `label` int64 [n].
    """
    if EQUATION_6 not in tail.forms:
        return
    exact, approximate = (_own(scores, form, label) for form in (ACT_X_GRAD, EQUATION_6))
    error = float((exact - approximate).abs().sum() / exact.abs().sum())
    log.info("Eq. 6, without the bias, differs by %.2g %% on the first block", 100 * error)


def attribute_block(
    block: LabelledImages, scores: Scores, alone: np.ndarray, class_ids: np.ndarray
) -> tuple[np.ndarray, Sequence[np.ndarray]]:
    """y [n] of the own class, and the columns of ATTRIBUTIONS: images in order, units as in their codes.

    alone [C, m] is the Logit Lens table, class_ids [C] the classes of its rows.
    """
    both = [_own(scores, form, block.label).cpu().numpy() for form in (ACT_X_GRAD, ABLATION)]
    label = torch.as_tensor(block.label, device=scores.y.device)
    y: np.ndarray = scores.y[torch.arange(len(label), device=label.device), label].cpu().numpy()
    image, position = np.nonzero(block.values)
    component, own = block.indices[image, position], block.label[image]
    return y, [
        block.image_id[image],
        class_ids[own],
        component,
        block.values[image, position],
        *(relevances[image, position] for relevances in both),
        alone[own, component],
    ]


def _own(scores: Scores, form: str, label: np.ndarray) -> torch.Tensor:
    """Relevances [n, k] for the own class."""
    classes = torch.as_tensor(label, device=scores.y.device)
    return scores.relevance(form, torch.arange(len(classes), device=classes.device), classes)
