"""The robustness benchmark: two areas under the ROC curve per case and way of probing (App. D.2).

spurious AUC : images of the class against the distractors of the case;
valid AUC    : images of the class against all other images, without the case's distractors.

Beside the first stands the average precision of the same images, which published lists of cases go by. All
are taken over the same view of the training images that cases are mined in.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from reliance.base.artifacts import Stamp, write_table
from reliance.robustness.auc import Auc, average_precision, from_placement, place, remove
from reliance.robustness.inputs import Embedded, open_split
from reliance.robustness.lists import Case, Lists, index_ids, locate, read_lists
from reliance.robustness.scores import Scorers, open_scorers, score_rows
from reliance.robustness.summary import ROBUSTNESS

log = logging.getLogger(__name__)


class Prompts(NamedTuple):
    """Text vectors of the classes, a file per prompt set."""

    short: Path
    templated: Path
    extended: Path
    both: Path


class Mined(NamedTuple):
    """The mined cases and their images."""

    failures: Path
    failure_samples: Path


class External(NamedTuple):
    """Lists of cases found elsewhere."""

    external_failures: Sequence[Path] = ()
    external_samples: Sequence[Path] = ()  # one per list
    external_sources: Sequence[str] = ()  # one per list, of all its cases; none: as the lists say
    external_embeddings: Sequence[Path] = ()  # of the images of lists that bring their own
    external_datasets: Sequence[str] = ()  # the names of these data sets as the samples have them


class View(NamedTuple):
    """The images that are scored: every `every_nth` of a split of a data set, as in mining."""

    dataset: str  # its name in the samples
    discovered_on: str  # variant that mined
    split: str = "train"
    every_nth: int = 5


def score_cases(
    *,
    index: Path,
    embeddings: Path,
    prompts: Prompts,
    probe: Path,
    mined: Mined,
    external: External | None = None,
    robustness: Path,
    view: View,
    block_rows: int = 8192,
    block_classes: int = 128,
    threads: int = 1,
) -> Stamp:
    """Stage: score every case with every prompt set and the linear probe.

    Parameters
    ----------
    index, embeddings : of the data set and its training images. prompts, probe : of the same encoder.
    robustness : output, ROBUSTNESS.
    external : if its sources are not named, the lists say (another variant's list says "mined").
    block_rows, block_classes : bounds of memory: 5 x block_classes scores per image of the view are held.

    An area without images on one side is nan and logged. Raises RelianceError if artifacts do not
    belong together or a list does not fit the data.
    """
    others = external or External()
    opened = open_split(index, embeddings, view.split)
    scorers = open_scorers(prompts._asdict(), probe, opened)
    manifests = dict(zip(others.external_datasets, others.external_embeddings, strict=True))
    given: Sequence[str | None] = others.external_sources or [None] * len(others.external_failures)
    cases, samples, ids = read_lists(
        [mined.failures, *others.external_failures],
        [mined.failure_samples, *others.external_samples],
        set(scorers.class_ids.tolist()),
        {**index_ids(manifests), view.dataset: (index, opened.ids["index"])},
        [None, *given],
    )
    lists = locate(cases, samples, opened, (view.dataset, view.split), manifests)
    with threadpool_limits(threads):
        rows = list(_rows(lists, scorers, opened, view.every_nth, block_rows, block_classes))
    frame = pd.DataFrame(rows, columns=[name for name, _ in ROBUSTNESS.columns if name != "discovered_on"])
    frame["discovered_on"] = np.where(frame["source"] == "mined", view.discovered_on, "")
    _log_undefined(frame)
    params = {**view._asdict(), "external_sources": list(others.external_sources)}
    params["probe_kind"] = scorers.probe_kind
    if scorers.given:
        params["probe_given"] = scorers.given
    return write_table(
        robustness, frame, ROBUSTNESS, params, {**opened.ids, **scorers.ids, **ids, **lists.ids}
    )


def _rows(
    lists: Lists, scorers: Scorers, opened: Embedded, every_nth: int, block_rows: int, block_classes: int
) -> Iterator[tuple[object, ...]]:
    """Rows of the table, class by class."""
    view = (opened.class_ids >= 0) & (np.arange(len(opened.class_ids)) % every_nth == 0)
    listed = np.unique(np.concatenate([np.zeros(0, np.int64), *(case.own for case in lists.cases)]))
    chosen = view.copy()
    chosen[listed] = True
    population = np.flatnonzero(chosen)
    classes = sorted({case.class_id for case in lists.cases})
    for start in tqdm(range(0, len(classes), block_classes), desc="classes", disable=None, mininterval=30):
        some = scorers.only(classes[start : start + block_classes])
        scores = score_rows(some, opened, chosen, block_rows)
        foreign = some.score(lists.foreign, lists.lengths)
        for j, class_id in enumerate(some.class_ids):
            own_class = opened.class_ids[population] == class_id
            sides = Sides(own_class & view[population], ~own_class & view[population], population)
            cases = [case for case in lists.cases if case.class_id == class_id]
            yield from sides.rows(cases, some.names, scores[:, j], foreign[:, j])


class Sides:
    """The images of a class and all others, as positions in the scored population.

    Parameters
    ----------
    of_class, others : bool [n], images of the view.
    population : int64 [n], ascending, the image_id of each.
    """

    def __init__(self, of_class: np.ndarray, others: np.ndarray, population: np.ndarray) -> None:
        self.of_class, self.others = np.flatnonzero(of_class), np.flatnonzero(others)
        self.population = population

    def rows(
        self, cases: Sequence[Case], names: Sequence[str], scores: np.ndarray, foreign: np.ndarray
    ) -> Iterator[tuple[object, ...]]:
        """Rows of the table for all cases of the class.

        names : ways of probing [S]. scores : of the population [S, n]. foreign : of foreign images [S, f].
        """
        own = [np.searchsorted(self.population, case.own) for case in cases]
        parts = [np.isin(self.others, positions) for positions in own]
        for s, name in enumerate(names):
            positives = np.sort(scores[s, self.of_class])
            others = scores[s, self.others]
            everything = place(positives, others)
            for case, positions, part in zip(cases, own, parts, strict=True):
                distractors = np.concatenate([scores[s, positions], foreign[s, case.foreign]])
                spurious = from_placement(place(positives, distractors))
                valid = from_placement(remove(everything, part, place(positives, others[part])))
                counts = (len(positives), len(distractors), len(others) - int(part.sum()))
                yield _row(case, name, spurious, valid, counts, average_precision(positives, distractors))


def _row(
    case: Case, probe: str, spurious: Auc, valid: Auc, counts: tuple[int, int, int], precision: float
) -> tuple[object, ...]:
    described = (case.failure_id, case.kind, case.mode, case.source, probe)
    return (*described, spurious.value, valid.value, spurious.error, valid.error, *counts, precision)


def _log_undefined(frame: pd.DataFrame) -> None:
    for column in ("spurious_auc", "valid_auc", "spurious_se", "valid_se"):
        names = frame.loc[frame[column].isna(), "failure_id"].unique()
        if len(names):
            log.warning(
                "%s is not defined (too few images) for %d cases: %s", column, len(names), ", ".join(names)
            )
    log.info("%d cases, %d rows", frame["failure_id"].nunique(), len(frame))
