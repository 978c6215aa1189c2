"""Stage `component_table`: statistics, clarity and name of every component (Eq. 2, Figs. 4 and 9)."""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from reliance.base.artifacts import TableSpec, check_same, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.codes.statistics import Statistics, component_statistics
from reliance.codes.store import Codes, open_codes
from reliance.codes.top_samples import TOP_SAMPLES, Top, strongest
from reliance.encoders.stored import Embeddings
from reliance.naming.clarity import clarity
from reliance.naming.names import Pooled, Vocabulary, name_components, pool_top, read_vocabulary
from reliance.units.protocol import Activations

COMPONENTS = TableSpec(
    "components",
    1,
    (
        ("component", "int32"),  # every one, in order, also those that never fire
        ("n_active", "int64"),
        ("firing_rate", "float32"),
        ("mean", "float32"),  # over all images
        ("max", "float32"),
        ("top5_mean", "float32"),
        ("top20_mean", "float32"),
        ("clarity", "float32"),  # nan if it fires too rarely
        ("label", "string"),  # "" if it fires too rarely
        ("alignment", "float32"),  # nan if it fires too rarely
        ("runner_up", "string"),
    ),
)
_STATISTICS_TOP = 20  # the longest of the top means


class Source(Activations, Protocol):
    """Activations with the file they come from. The stamp's inputs name the image index."""

    path: Path


def component_table(
    *,
    codes: Path,
    labels: Path,
    vocabulary: Path,
    components: Path,
    top_samples: Path | None = None,
    top_n: int = 20,
    min_active: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write statistics, clarity and name of every component of a split, as COMPONENTS.

    codes : of the split. top_samples : of the same codes; found again without it.
    labels : the labeller's embeddings of the same images.
    vocabulary : the labeller's text vectors of names. top_n images give a component its clarity and
    name; one that fires on fewer than min_active images gets neither.
    Raises RelianceError if the inputs do not belong together.
    """
    split = open_codes(codes)
    labeller = open_labeller(split, labels, vocabulary)
    top = None if top_samples is None else _read_top(top_samples, split, _needed(top_n))
    frame = table_of(split, labeller, top, top_n, min_active, block_rows)
    params = {"top_n": top_n, "min_active": min_active}
    write_table(components, frame, COMPONENTS, params, {"codes": split.stamp.id, **labeller.ids})


class Labeller(NamedTuple):
    """What gives names to the components of a split."""

    embeddings: Embeddings  # z of the images, zero if unreadable
    vocabulary: Vocabulary
    ids: dict[str, str]  # name -> id of the artifacts it was read from


def open_labeller(split: Source, labels: Path, vocabulary: Path) -> Labeller:
    """Open the labeller's view of the images of `split`; arguments as in `component_table`.

    Raises RelianceError for labels of other images, or a vocabulary of another labeller.
    """
    images = Embeddings(labels)
    words, words_stamp = read_vocabulary(vocabulary)
    _check_inputs(split, images, (vocabulary, words_stamp.inputs["weights"]))
    return Labeller(images, words, {"labels": images.stamp.id, "vocabulary": words_stamp.id})


def table_of(
    split: Activations,
    labeller: Labeller,
    top: Top | None,
    top_n: int,
    min_active: int,
    block_rows: int,
) -> pd.DataFrame:
    """The columns of COMPONENTS for any activations; `top` as in `strongest`, found here if None."""
    if top is None:
        top = strongest(split, _needed(top_n), block_rows)
    statistics = component_statistics(split, top, block_rows)
    chosen = Top(*(column[top.rank < top_n] for column in top))
    pooled = pool_top(chosen, split.m, labeller.embeddings.z, split.rows, block_rows)
    return build_table(statistics, pooled, labeller.vocabulary, min_active)


def build_table(
    statistics: Statistics, pooled: Pooled, vocabulary: Vocabulary, min_active: int
) -> pd.DataFrame:
    """The columns of COMPONENTS for m components."""
    m = len(statistics.n_active)
    named = np.flatnonzero((statistics.n_active >= min_active) & (pooled.n > 0))
    names = name_components(pooled.mean[named], vocabulary)
    found = {
        "clarity": (clarity(pooled.mean_unit[named], pooled.n[named]), np.nan),
        "label": (names.label, ""),
        "alignment": (names.alignment, np.nan),
        "runner_up": (names.runner_up, ""),
    }
    frame = pd.DataFrame({"component": np.arange(m), **statistics._asdict()})
    for column, (values, missing) in found.items():
        full = np.full(m, missing, dtype=values.dtype)
        full[named] = values
        frame[column] = full
    return frame


def _needed(top_n: int) -> int:
    return max(top_n, _STATISTICS_TOP)


def _check_inputs(split: Source, images: Embeddings, vocabulary: tuple[Path, str]) -> None:
    """Refuse labels of other images than the activations', or a vocabulary of another labeller."""
    check_same("labeller weights", vocabulary, (images.path, images.stamp.inputs["weights"]))
    index = (split.path, split.stamp.inputs["index"])
    check_same("image index", (images.path, images.stamp.inputs["index"]), index)
    if images.rows != split.rows:
        raise RelianceError(
            images.path,
            f"it must hold the images of {split.path}",
            found=f"{images.rows} rows",
            allowed=f"{split.rows} rows",
            next_step="labels of another split were given: check which manifest the rule names",
        )


def _read_top(path: Path, split: Codes, needed: int) -> Top:
    frame, stamp = read_table(path, TOP_SAMPLES)
    check_same("codes", (path, stamp.inputs["codes"]), (split.path, split.stamp.id))
    if stamp.params["count"] < needed:
        raise RelianceError(
            path,
            "it holds the images that give a component its name and its top means",
            found=f"{stamp.params['count']} images per component",
            allowed=f"at least {needed}",
            next_step="raise naming.stored in the config",
        )
    return Top(*(frame[name].to_numpy() for name in Top._fields))
