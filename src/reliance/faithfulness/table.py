"""Stage `faithfulness`: deletion and insertion curves of a split (Figs. 3, 7, 8)."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reliance.attribution.inputs import open_inputs, open_tables
from reliance.base.artifacts import Stamp, derived_stamp, write_json, write_table
from reliance.faithfulness.bench import Bench, open_bench, reference_forms
from reliance.faithfulness.cells import Cells, by_cell, table
from reliance.faithfulness.orderings import Forms
from reliance.faithfulness.protocols import Diagnostics, Key, block_curves
from reliance.faithfulness.sample import Chosen, Images, Randoms, check_subsets, choose, draw, read_images
from reliance.faithfulness.schema import ERROR_TERMS, FAITHFULNESS, SUMMARY, SUMMARY_SCHEMA
from reliance.faithfulness.summary import CURVE
from reliance.units.sae.files import load_sae

log = logging.getLogger(__name__)
_IMAGES = 512  # images at once at most: each has two Gram matrices and a path of projected embeddings


def faithfulness(
    *,
    index: Path,
    embeddings: Path,
    codes: Path,
    sae: Path,
    head: Path,
    text: Path,
    faithfulness: Path,
    summary: Path,
    split: str = "test",
    classes: int = 100,
    per_class: int = 50,
    steps: int = 10,
    path_steps: int = 10,
    reference: int = 500,
    subsets: int = 9,
    seed: int = 0,
    block_rows: int = 4096,
    device: str = "auto",
    threads: int = 2,
) -> Stamp:
    """Write the curves of all protocols, methods and error terms, and a summary.

    Measured on the first `per_class` readable images of the first `classes` classes that have images,
    or as many as there are; image i of them, class by class, belongs to subset i mod `subsets`. A class
    with fewer images than subsets has no row in the others. Rows are read in blocks of `block_rows`;
    memory also grows with `per_class` and `reference`. Returns the table's stamp. Raises RelianceError if
    artifacts do not match or a subset has no image.
    """
    inputs = open_inputs(
        index=index, embeddings=embeddings, codes=codes, sae=sae, head=head, text=text, split=split
    )
    chosen = choose(inputs, classes, per_class, reference, seed, block_rows)
    check_subsets(chosen, subsets)
    tables, prompts = open_tables(
        inputs._replace(text=inputs.text[chosen.classes]), device, threads, "float64"
    )
    bench = open_bench(tables, prompts, load_sae(sae)[0].bias, steps, path_steps)
    images = read_images(inputs, chosen.rows, block_rows)
    at_once = min(block_rows, _IMAGES)
    forms = _reference(bench, read_images(inputs, chosen.reference, block_rows), at_once)
    n, k = images.values.shape
    randoms = draw(n, k, len(inputs.decoder), len(chosen.classes), steps, seed)
    cells, found = _measure(bench, images, chosen, randoms, forms, subsets, at_once)
    params = {"split": split, "classes": classes, "per_class": per_class, "steps": steps}
    params |= {"path_steps": path_steps, "reference": reference, "subsets": subsets, "seed": seed}
    frame = table(cells, CURVE, inputs.class_ids[chosen.classes], subsets)
    stamp = write_table(faithfulness, frame, FAITHFULNESS, params, inputs.ids)
    record = {"steps": steps, "subsets": subsets, "path_steps": path_steps}
    record |= _sizes(images, chosen) | _errors(found)
    write_json(summary, record, derived_stamp(SUMMARY, SUMMARY_SCHEMA, params, inputs.ids))
    log.info("%d images of %d classes of %s", len(chosen.rows), len(chosen.classes), split)
    return stamp


def class_blocks(label: np.ndarray, at_once: int) -> Iterator[slice]:
    """Ranges of whole classes with at most `at_once` images, or one class; label ascending, int64 [n]."""
    stops = np.append(np.flatnonzero(np.diff(label)) + 1, len(label))
    start = 0
    while start < len(label):
        fitting = stops[(stops > start) & (stops <= start + at_once)]
        stop = int(fitting[-1] if len(fitting) else stops[stops > start][0])
        yield slice(start, stop)
        start = stop


def _reference(bench: Bench, images: Images, at_once: int) -> dict[str, list[Forms]]:
    """Forms of the reference images by error term, in blocks."""
    parts = [images.take(slice(i, i + at_once)) for i in range(0, len(images.x), at_once)]
    return {term: [reference_forms(bench, part, term) for part in parts] for term in ERROR_TERMS}


def _measure(
    bench: Bench,
    images: Images,
    chosen: Chosen,
    randoms: Randoms,
    reference: dict[str, list[Forms]],
    subsets: int,
    at_once: int,
) -> tuple[dict[Key, list[Cells]], list[Diagnostics]]:
    """The cells of every curve, block by block; a cell lies in one block, as a class does."""
    cell = chosen.label * subsets + np.arange(len(chosen.rows)) % subsets
    cells: dict[Key, list[Cells]] = defaultdict(list)
    found = []
    for rows in class_blocks(chosen.label, at_once):
        own = randoms._replace(active=randoms.active[rows], all_latents=randoms.all_latents[rows])
        curves, diagnostics = block_curves(bench, images.take(rows), chosen.label[rows], own, reference)
        found.append(diagnostics)
        for key, y in curves.items():
            cells[key].append(by_cell(y, cell[rows]))
        log.info("curves of %d of %d images", rows.stop, len(cell))
    return cells, found


def _sizes(images: Images, chosen: Chosen) -> dict[str, Any]:
    return {
        "images": len(chosen.rows),
        "classes": len(chosen.classes),
        "reference": len(chosen.reference),
        "k": images.values.shape[1],
        "mean_active": float((images.values != 0).sum(axis=1).mean()),
    }


def _errors(found: list[Diagnostics]) -> dict[str, Any]:
    """Relative errors over all images; null where there is nothing to be relative to."""
    completeness = {
        term: _share(sum(f.gap[term] for f in found), sum(f.change[term] for f in found))
        for term in ERROR_TERMS
    }
    beta = _share(sum(f.eq6_gap for f in found), sum(f.relevance for f in found))
    return {"completeness": completeness, "beta_error": beta}


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
