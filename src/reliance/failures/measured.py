"""Expectations measured image by image, of relevances that no table of attributions holds.

Contrastive relevances and those of families are made anew from codes: two passes over the images in place of
one, and no table of images x units on the disk.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from reliance.attribution.inputs import (
    COMPUTING,
    LATENTS,
    Again,
    Computing,
    Explained,
    Inputs,
    blocks,
    open_inputs,
    open_tail,
)
from reliance.base.artifacts import Stamp, write_table
from reliance.failures.expectation import Moments, expectation_frame
from reliance.failures.schema import EXPECTATIONS
from reliance.tails.contrast import ContrastTail
from reliance.tails.families import with_families
from reliance.tails.protocol import Tail


def contrastive_expectations(
    files: Explained,
    *,
    expectations: Path,
    split: str = "train",
    every_nth: int = 5,
    relevance: str = "act_x_grad",
    units: str = LATENTS,
    computing: Computing = COMPUTING,
    again: Again | None = None,
) -> Stamp:
    """Write EXPECTATIONS of contrastive relevances (`tails.contrast`); y is that of the prompt.

    Raises RelianceError if artifacts do not belong together.
    """
    inputs = open_inputs(files, split, units, again)
    tail = open_mining_tail(inputs, computing, contrastive=True)
    frame = expected_of(inputs, tail, relevance, every_nth, computing.block_rows)
    params = {"split": split, "every_nth": every_nth, "dtype": computing.dtype, "relevance": relevance}
    return write_table(expectations, frame, EXPECTATIONS, {**params, "contrastive": True}, inputs.ids)


def open_mining_tail(
    inputs: Inputs, computing: Computing, contrastive: bool, families: np.ndarray | None = None
) -> Tail:
    """The tail that relevances are mined with: of units, and with `families` [L, m] of these as well."""

    def opened(text: np.ndarray) -> Tail:
        tail = open_tail(inputs.units, inputs.head, text, computing)
        return tail if families is None else with_families(tail, families)

    return ContrastTail(opened, inputs.text) if contrastive else opened(inputs.text)


def expected_of(inputs: Inputs, tail: Tail, relevance: str, every_nth: int, block_rows: int) -> pd.DataFrame:
    """Columns of EXPECTATIONS over every `every_nth` image with a class: relevances for its own class."""
    moments = Moments.zeros(len(inputs.class_ids), tail.units)
    for block in blocks(inputs, every_nth, block_rows):
        scores = tail.score(block.x, block.values, block.indices, block.image_id)
        own = torch.as_tensor(block.label, device=scores.y.device)
        rows = torch.arange(len(own), device=own.device)
        moments.add_images(block.label, scores.y[rows, own].cpu().numpy())
        active = (scores.values != 0).cpu().numpy()
        parts = (scores.indices, scores.relevance(relevance, rows, own))
        component, r = (part.cpu().numpy()[active] for part in parts)
        moments.add(np.repeat(block.label, active.sum(axis=1)), component, r)
    return expectation_frame(moments, inputs.class_ids)
