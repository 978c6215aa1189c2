"""What relevance to expect: mean and spread of every component's relevance over a class (Eq. 8).

A component that is silent on an image has relevance 0 there, and those zeros count: the mean and
the standard deviation are over ALL images of the class, not over those on which it fires.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.inputs import blocks, open_inputs, open_tables
from reliance.base.artifacts import Stamp, write_table
from reliance.failures.schema import EXPECTATIONS
from reliance.tails.head import FORMS, ImageTerms, image_terms, outputs, pair_relevance

__all__ = ["EXPECTATIONS", "expectations"]
log = logging.getLogger(__name__)


class Moments(NamedTuple):
    """Running sums over the images of each class; float64, changed in place by `add`."""

    n: torch.Tensor  # images [C]
    y: torch.Tensor  # sum of y and of y^2 [2, C]
    n_active: torch.Tensor  # images on which a component fires [C, m]
    relevance: torch.Tensor  # sum of R and of R^2 [2, C, m]

    @classmethod
    def zeros(cls, classes: int, components: int, device: torch.device) -> "Moments":
        """Sums of no images."""
        shapes = (classes,), (2, classes), (classes, components), (2, classes, components)
        return cls(*(torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes))

    def add(self, label: torch.Tensor, y: torch.Tensor, terms: ImageTerms, r: torch.Tensor) -> None:
        """Add n images: label and own-class y [n], terms, and relevances R [n, k]."""
        y, r = y.double(), r.double()
        self.n.index_add_(0, label, torch.ones_like(y))
        active = terms.values != 0
        cell, r = (label[:, None] * self.n_active.shape[1] + terms.indices)[active], r[active]
        ones = torch.ones_like(r)
        self.n_active.view(-1).index_add_(0, cell, ones)
        for power in (1, 2):
            self.y[power - 1].index_add_(0, label, y**power)
            self.relevance[power - 1].view(-1).index_add_(0, cell, r**power)


def expectations(
    *,
    index: Path,
    embeddings: Path,
    codes: Path,
    sae: Path,
    head: Path,
    text: Path,
    expectations: Path,
    split: str = "train",
    every_nth: int = 5,
    relevance: str = "act_x_grad",
    block_rows: int = 4096,
    device: str = "cpu",
    threads: int = 2,
    dtype: str = "float32",
) -> Stamp:
    """Write the expected relevance of every component for every class (App. D.1).

    Rows: one per (class, component that fires at least once on the class), and one per class with
    component -1 that has mean and standard deviation of y. Standard deviations have ddof=1 and are
    nan for a single image. Returns the stamp; raises RelianceError if artifacts do not match.
    """
    inputs = open_inputs(
        index=index, embeddings=embeddings, codes=codes, sae=sae, head=head, text=text, split=split
    )
    tables, prompts = open_tables(inputs, device, threads, dtype)
    moments = Moments.zeros(len(inputs.class_ids), len(inputs.decoder), tables.lens.device)
    for block in blocks(inputs, every_nth, block_rows):
        terms = image_terms(tables, block.x, block.values, block.indices)
        label = torch.as_tensor(block.label, device=terms.unit.device)
        rows = torch.arange(len(label), device=label.device)
        y = outputs(terms, prompts)[rows, label]
        coefficients = FORMS[relevance](tables, terms)
        r = pair_relevance(coefficients, terms.indices, prompts, rows, label, y)
        moments.add(label, y, terms, r)
    frame = expectation_frame(moments, inputs.class_ids)
    log.info("%d rows for %d classes", len(frame), int((moments.n > 0).sum()))
    params = {"split": split, "every_nth": every_nth, "relevance": relevance, "dtype": dtype}
    return write_table(expectations, frame, EXPECTATIONS, params, inputs.ids)


def expectation_frame(moments: Moments, class_ids: np.ndarray) -> pd.DataFrame:
    """The table that `expectations` writes, from the sums over all images; class_ids [C]."""
    label, component = torch.nonzero(moments.n_active, as_tuple=True)
    n, n_active = moments.n[label], moments.n_active[label, component]
    mean, std = _mean_std(moments.relevance[:, label, component], n)
    pairs = _columns(class_id=label, component=component, n=n, n_active=n_active, mean=mean, std=std)
    seen = torch.nonzero(moments.n)[:, 0]
    n = moments.n[seen]
    y_mean, y_std = _mean_std(moments.y[:, seen], n)
    whole = _columns(
        class_id=seen, component=torch.full_like(seen, -1), n=n, n_active=n, y_mean=y_mean, y_std=y_std
    )
    frame = pd.concat([pairs, whole]).sort_values(["class_id", "component"], ignore_index=True)
    frame["class_id"] = class_ids[frame["class_id"]]
    return frame.astype({"n": "int64", "n_active": "int64"})


def _mean_std(sums: torch.Tensor, n: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (ddof=1, nan for n = 1) from the sums of values and squares [2, ...]."""
    mean = sums[0] / n
    variance = (sums[1] - n * mean**2).clamp(min=0) / (n - 1)
    return mean, torch.where(n > 1, variance, torch.nan).sqrt()


def _columns(**columns: torch.Tensor) -> pd.DataFrame:
    return pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()})
