"""The attribution table: what each active latent adds to the score of an image's own class."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from reliance.attribution.baselines import beta_error, logit_lens
from reliance.attribution.inputs import Block, blocks, open_inputs, open_tables
from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import STAMP_KEY, Stamp, derived_stamp
from reliance.base.writing import atomic
from reliance.tails.head import (
    LatentTables,
    PromptTables,
    ablation,
    act_x_grad,
    image_terms,
    outputs,
    pair_relevance,
)

__all__ = ["ATTRIBUTIONS", "attribute_split"]
log = logging.getLogger(__name__)


def attribute_split(
    *,
    index: Path,
    embeddings: Path,
    codes: Path,
    sae: Path,
    head: Path,
    text: Path,
    attributions: Path,
    split: str,
    every_nth: int = 1,
    block_rows: int = 4096,
    device: str = "cpu",
    threads: int = 2,
    dtype: str = "float32",
) -> Stamp:
    """Write the relevances (Eq. 5) of every active latent for each image's own class.

    Rows exist for active latents only: a mean over images must count the absent ones as zero.
    Images without a class and unreadable ones are left out. Written block by block, so memory
    does not grow with the split. Returns the stamp; raises RelianceError if artifacts do not match.
    """
    inputs = open_inputs(
        index=index, embeddings=embeddings, codes=codes, sae=sae, head=head, text=text, split=split
    )
    tables, prompts = open_tables(inputs, device, threads, dtype)
    lens = logit_lens(tables, prompts).cpu().numpy()
    params = {"split": split, "every_nth": every_nth, "dtype": dtype}
    stamp = derived_stamp(ATTRIBUTIONS.kind, ATTRIBUTIONS.version, params, inputs.ids)
    fields = [(name, pa.type_for_alias(kind)) for name, kind in ATTRIBUTIONS.columns]
    schema = pa.schema(fields, metadata={STAMP_KEY: stamp.to_json()})
    images = 0
    options = {"compression": "zstd", "write_page_checksum": True}
    with atomic(attributions) as temporary, pq.ParquetWriter(temporary, schema, **options) as writer:
        for block in blocks(inputs, every_nth, block_rows):
            if not images:
                log_beta_error(block, tables, prompts)
            columns = attribute_block(block, tables, prompts, lens, inputs.class_ids)
            writer.write_table(pa.table(columns, schema=schema))
            images += len(block.image_id)
    log.info("attributed %d images of %s", images, split)
    return stamp


def log_beta_error(block: Block, tables: LatentTables, prompts: PromptTables) -> None:
    """Log how far Eq. 6, which leaves out the bias of the LayerNorm, is from act x grad on a block."""
    terms = image_terms(tables, block.x, block.values, block.indices)
    label = torch.as_tensor(block.label, device=terms.unit.device)
    error = beta_error(tables, terms, prompts, label)
    log.info("Eq. 6, without the bias, differs by %.2g %% on the first block", 100 * error)


def attribute_block(
    block: Block, tables: LatentTables, prompts: PromptTables, lens: np.ndarray, class_ids: np.ndarray
) -> list[np.ndarray]:
    """The columns of ATTRIBUTIONS for a block: images in order, the latents of one by activation.

    lens [C, m] is the Logit Lens table, class_ids [C] the classes of its rows.
    """
    terms = image_terms(tables, block.x, block.values, block.indices)
    label = torch.as_tensor(block.label, device=terms.unit.device)
    rows = torch.arange(len(label), device=label.device)
    y = outputs(terms, prompts)[rows, label]
    both = [
        pair_relevance(form(tables, terms), terms.indices, prompts, rows, label, y).cpu().numpy()
        for form in (act_x_grad, ablation)
    ]
    image, position = np.nonzero(block.values)
    component, own = block.indices[image, position], block.label[image]
    columns = [
        block.image_id[image],
        class_ids[own],
        component,
        block.values[image, position],
        *(relevances[image, position] for relevances in both),
        lens[own, component],
    ]
    kinds = [pa.type_for_alias(kind).to_pandas_dtype() for _, kind in ATTRIBUTIONS.columns]
    return [column.astype(kind) for column, kind in zip(columns, kinds, strict=True)]
