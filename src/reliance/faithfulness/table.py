"""Stage `faithfulness`: deletion and insertion curves of a split (Figs. 3, 7, 8)."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reliance.attribution.inputs import LATENTS, Again, Computing, Explained, open_inputs, open_tail
from reliance.base.artifacts import Stamp, derived_stamp, write_json, write_table
from reliance.base.telling import advance
from reliance.faithfulness.bench import Bench, load, open_bench, stretch_of
from reliance.faithfulness.cells import Cells, by_cell, table
from reliance.faithfulness.orderings import Scored
from reliance.faithfulness.protocols import Diagnostics, Key, block_curves
from reliance.faithfulness.sample import (
    SAMPLING,
    Chosen,
    Images,
    Randoms,
    Sampling,
    choose,
    fitting,
    random_orders,
    read_images,
)
from reliance.faithfulness.schema import ERROR_TERMS, FAITHFULNESS, SUMMARY, SUMMARY_SCHEMA
from reliance.faithfulness.summary import CURVE

log = logging.getLogger(__name__)
_IMAGES = 512  # images at once at most: each has two Gram matrices and a path of projected embeddings
_ACTIVE = 1 << 16  # active units at once
DOUBLE = Computing(device="auto", dtype="float64")


def faithfulness(
    files: Explained,
    *,
    faithfulness: Path,
    summary: Path,
    split: str = "test",
    sampling: Sampling = SAMPLING,
    steps: int = 10,
    path_steps: int = 10,
    error_terms: Sequence[str] = ERROR_TERMS,
    units: str = LATENTS,
    computing: Computing = DOUBLE,
    again: Again | None = None,
) -> Stamp:
    """Write the curves of all protocols, methods and error terms, and a summary.

    Measured on the first `per_class` readable images of the first `classes` classes that have images,
    or as many as there are; a class with fewer images than subsets has no row in the others. Another kind
    of `units` is measured on the same images with the same seeds. Rows are read in blocks of `block_rows`;
    memory also grows with `per_class` and `reference`; all is float64. Returns the table's stamp. Raises
    RelianceError if artifacts do not match or a subset has no image.
    """
    inputs = open_inputs(files, split, units, again)
    chosen = choose(inputs, sampling, computing.block_rows)
    sampling = fitting(chosen, sampling)
    text, double = inputs.text[chosen.classes], computing._replace(dtype="float64")
    bench = open_bench(
        open_tail(inputs.units, inputs.head, text, double, path_steps), inputs.units.offset, steps
    )
    images = read_images(inputs, chosen.rows, computing.block_rows)
    at_once = min(computing.block_rows, _IMAGES, max(1, _ACTIVE // images.values.shape[1]))
    reference = _reference(
        bench, read_images(inputs, chosen.reference, computing.block_rows), at_once, error_terms
    )
    randoms = random_orders(images, chosen.label, inputs.units.m, steps, sampling.seed)
    cells, found = _measure(bench, images, chosen, randoms, reference, sampling.subsets, at_once)
    params = {"split": split, "steps": steps, "path_steps": path_steps, **sampling._asdict()}
    frame = table(cells, CURVE, inputs.class_ids[chosen.classes], sampling.subsets)
    stamp = write_table(faithfulness, frame, FAITHFULNESS, params, inputs.ids)
    record = {"steps": steps, "subsets": sampling.subsets, "path_steps": path_steps}
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


def _reference(
    bench: Bench, images: Images, at_once: int, error_terms: Sequence[str]
) -> dict[str, list[Scored]]:
    """The reference images by error term, in blocks."""
    parts = [load(bench, images.take(slice(i, i + at_once))) for i in range(0, len(images.x), at_once)]
    return {term: [Scored(p.active, stretch_of(bench, p, term)) for p in parts] for term in error_terms}


def _measure(
    bench: Bench,
    images: Images,
    chosen: Chosen,
    randoms: Randoms,
    reference: dict[str, list[Scored]],
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
        advance(rows.stop, len(cell), "images")
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
        for term in (found[0].gap if found else ())
    }
    beta = _share(sum(f.eq6_gap for f in found), sum(f.relevance for f in found))
    return {"completeness": completeness, "beta_error": beta}


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
