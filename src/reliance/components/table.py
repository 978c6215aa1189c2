"""Stage `component_table`: statistics, clarity and name of every component (Eq. 2, Figs. 4 and 9)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from reliance.codes.statistics import Statistics, component_statistics
from reliance.codes.store import Codes, open_codes
from reliance.codes.top_samples import TOP_SAMPLES, Top, strongest
from reliance.components.clarity import clarity
from reliance.components.naming import Pooled, Vocabulary, name_components, pool_top, read_vocabulary
from reliance.encoders.head import load_head, project
from reliance.errors import RelianceError
from reliance.identity import TableSpec, check_same, read_table, write_table
from reliance.parts import Parts

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


def component_table(
    *,
    codes: Path,
    labels: Path,
    vocabulary: Path,
    components: Path,
    top_samples: Path | None = None,
    labeller_head: Path | None = None,
    top_n: int = 20,
    min_active: int = 20,
    block_rows: int = 16384,
) -> None:
    """Write statistics, clarity and name of every component of a split, as COMPONENTS.

    codes : of the split. top_samples : of the same codes; found again without it.
    labels : the labeller's embeddings of the same images; labeller_head, if they are class tokens.
    vocabulary : the labeller's text vectors of names. top_n images give a component its clarity and
    name; one that fires on fewer than min_active images gets neither.
    Raises RelianceError if the inputs do not belong together.
    """
    split, images = open_codes(codes), Parts(labels, "embeddings")
    words, words_stamp = read_vocabulary(vocabulary)
    _check_inputs(split, images, (vocabulary, words_stamp.inputs["weights"]))
    inputs = {"codes": split.stamp.id, "labels": images.stamp.id, "vocabulary": words_stamp.id}
    embed, head_id = _embedder(images, labeller_head)
    if head_id is not None:
        inputs["labeller_head"] = head_id
    needed = max(top_n, _STATISTICS_TOP)
    if top_samples is None:
        top = strongest(split, needed, block_rows)
    else:
        top = _read_top(top_samples, split, needed)
    statistics = component_statistics(split, top, block_rows)
    chosen = Top(*(column[top.rank < top_n] for column in top))
    pooled = pool_top(chosen, split.m, embed, split.rows, block_rows)
    frame = build_table(statistics, pooled, words, min_active)
    params = {"top_n": top_n, "min_active": min_active}
    write_table(components, frame, COMPONENTS, params, inputs)


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


def _check_inputs(split: Codes, images: Parts, vocabulary: tuple[Path, str]) -> None:
    """Refuse labels of other images than the codes', or a vocabulary of another labeller."""
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


def _embedder(
    images: Parts, labeller_head: Path | None
) -> tuple[Callable[[int, int], np.ndarray], str | None]:
    """(embeddings [n, p] of a range of images, zero where unreadable; id of the head if one is used)."""
    if "embedding" in images.layouts:
        return lambda start, stop: images.read("embedding", start, stop), None
    if labeller_head is None:
        raise RelianceError(
            images.path,
            "a labeller's embeddings are image embeddings, or come with its head",
            found="class tokens without a head",
            allowed="the array 'embedding', or 'x' and labeller_head",
            next_step="name the labeller's head.safetensors as input of the rule",
        )
    head, stamp = load_head(labeller_head)
    weights = (images.path, images.stamp.inputs["weights"])
    check_same("labeller weights", (labeller_head, stamp.inputs["weights"]), weights)

    def embed(start: int, stop: int) -> np.ndarray:
        readable = images.read("valid", start, stop)[:, None]
        embedding: np.ndarray = project(images.read("x", start, stop), head) * readable
        return embedding

    return embed, stamp.id


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
