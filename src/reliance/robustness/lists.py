"""Cases of one or several lists, mined and external, with their distractors located.

A distractor is an image of the benchmarked data set's own split, or of another, foreign, data set
that was embedded with the same encoder (the images of a list found elsewhere).
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same
from reliance.base.errors import RelianceError
from reliance.encoders.stored import Embeddings, check_site
from reliance.failures.case_list import read_failures, read_samples
from reliance.failures.external import check_cases
from reliance.robustness.inputs import Embedded, length, unit

log = logging.getLogger(__name__)


class Case(NamedTuple):
    """One case: a class and its distractors."""

    failure_id: str
    kind: str
    mode: str
    source: str
    class_id: int
    own: np.ndarray  # image_id of distractors in the benchmarked split, int64
    foreign: np.ndarray  # positions of distractors in `Lists.foreign`, int64


class Lists(NamedTuple):
    """All cases of all lists."""

    cases: list[Case]
    foreign: np.ndarray  # unit embeddings of distractors from other data sets, float32 [n, p]
    lengths: np.ndarray  # of these before they were scaled, float32 [n]
    ids: dict[str, str]  # of the files read


def read_lists(
    failures: Sequence[Path],
    samples: Sequence[Path],
    class_ids: set[int],
    indices: Mapping[str, tuple[Path, str]],
    sources: Sequence[str | None],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Read lists of cases and check them.

    Parameters
    ----------
    failures, samples : one file each per list.
    class_ids : classes that can be probed.
    indices : data set -> a file that names the index of its images, and the index's id. A list that
        says which index it was made from must have images of that one.
    sources : one per list: the source of all its cases; None leaves them as the list has them.

    Returns cases (columns of failures.tsv), samples (case, dataset, split, image_id; `case` is the
    row of the case) and ids. Raises RelianceError.
    """
    all_cases, all_samples, count = [], [], 0
    ids: dict[str, str] = {}
    lists = zip(failures, samples, sources, strict=True)
    for i, (failures_path, samples_path, source) in enumerate(lists):
        cases, stamp = read_failures(failures_path)
        images, images_stamp = read_samples(samples_path)
        check_cases(failures_path, cases, images, class_ids)
        if "failures" in images_stamp.inputs:
            check_same(
                "list of cases", (samples_path, images_stamp.inputs["failures"]), (failures_path, stamp.id)
            )
        for dataset in sorted(set(images["dataset"]) & set(indices)):
            if "index" in stamp.inputs:
                check_same("index", (failures_path, stamp.inputs["index"]), indices[dataset])
        place = dict(zip(cases["failure_id"], range(count, count + len(cases)), strict=True))
        all_samples.append(images.assign(case=images["failure_id"].map(place)).drop(columns="failure_id"))
        all_cases.append(cases if source is None else cases.assign(source=source))
        ids |= {f"failures_{i}": stamp.id, f"failure_samples_{i}": images_stamp.id}
        count += len(cases)
    cases, images = pd.concat(all_cases, ignore_index=True), pd.concat(all_samples, ignore_index=True)
    _check_unique(failures, cases)
    return cases, images, ids


def index_ids(manifests: Mapping[str, Path]) -> dict[str, tuple[Path, str]]:
    """Data set -> manifest of its embeddings, and the id of the index they were made from."""
    return {name: (path, Embeddings(path).stamp.inputs["index"]) for name, path in manifests.items()}


def locate(
    cases: pd.DataFrame,
    samples: pd.DataFrame,
    opened: Embedded,
    own: tuple[str, str],
    manifests: Mapping[str, Path],
) -> Lists:
    """Locate the distractors of cases.

    Parameters
    ----------
    cases, samples : from `read_lists`.
    opened : the benchmarked split. own : its data set and split by name.
    manifests : data set -> embeddings of the split `cases` of other data sets.

    Unreadable distractors, and class images listed as distractors, are left out and logged.
    Raises RelianceError for an image that is in none of these.
    """
    ids: dict[str, str] = {}
    at_home = (samples["dataset"] == own[0]).to_numpy()
    home = samples[at_home]
    _check_home(home, own, len(opened.readable))
    rows = home["image_id"].to_numpy(np.int64)
    targets = cases["class_id"].to_numpy()[home["case"].to_numpy(np.int64)] if len(home) else rows
    unreadable, of_class = ~opened.readable[rows], opened.class_ids[rows] == targets
    _log_left_out(cases, home, unreadable, "cannot be read")
    _log_left_out(cases, home, of_class, "are images of the class itself")
    home = home[~(unreadable | of_class)]
    away, foreign = _embed_foreign(cases, samples[~at_home], opened, manifests, ids)
    home_of, away_of = home.groupby("case").indices, away.groupby("case").indices
    none = np.zeros(0, np.int64)
    columns = (cases[name] for name in ("failure_id", "kind", "mode", "source", "class_id"))
    located = [
        Case(
            *(failure_id, kind, mode, source, int(class_id)),
            own=np.sort(home["image_id"].to_numpy(np.int64)[home_of.get(i, none)]),
            foreign=np.asarray(away_of.get(i, none), np.int64),
        )
        for i, (failure_id, kind, mode, source, class_id) in enumerate(zip(*columns, strict=True))
    ]
    return Lists(located, unit(foreign), length(foreign), ids)


def _embed_foreign(
    cases: pd.DataFrame,
    samples: pd.DataFrame,
    opened: Embedded,
    manifests: Mapping[str, Path],
    ids: dict[str, str],
) -> tuple[pd.DataFrame, np.ndarray]:
    """The readable samples of other data sets, and their embeddings in the same order."""
    kept, vectors = [samples.iloc[:0]], [np.zeros((0, opened.embeddings.width), np.float32)]
    for dataset, group in samples.groupby("dataset"):
        if dataset not in manifests:
            raise RelianceError(
                str(cases["failure_id"].iloc[group["case"].iloc[0]]),
                "the images of a case are of the benchmarked data set or of an embedded list of cases",
                found=f"data set {dataset!r}",
                allowed=", ".join(manifests) or "the benchmarked data set only",
                next_step="correct the column 'dataset' of the samples, or give the list a root",
            )
        manifest = manifests[str(dataset)]
        parts = Embeddings(manifest)
        weights = ("the benchmarked data set", opened.ids["weights"])
        check_same("encoder weights", (manifest, parts.stamp.inputs["weights"]), weights)
        check_site(manifest, parts.site, opened.embeddings)
        ids[f"embeddings_{dataset}"] = parts.stamp.id
        _check_rows(manifest, group["image_id"].to_numpy(), parts.rows)
        valid = parts.take("valid", group["image_id"].to_numpy()).astype(bool)
        _log_left_out(cases, group, ~valid, "cannot be read")
        kept.append(group[valid])
        vectors.append(parts.z_of(kept[-1]["image_id"].to_numpy()))
    return pd.concat(kept, ignore_index=True), np.concatenate(vectors)


def _check_unique(failures: Sequence[Path], cases: pd.DataFrame) -> None:
    twice = cases[cases.duplicated(["source", "failure_id"])]
    if len(twice):
        raise RelianceError(
            ", ".join(map(str, failures)),
            "a failure_id is unique among all lists of one source",
            found=f"{twice['failure_id'].iloc[0]} ({twice['source'].iloc[0]}) in two lists",
            allowed="one list per case",
            next_step="rename one of the two, or remove a list that is given twice",
        )


def _check_home(home: pd.DataFrame, own: tuple[str, str], rows: int) -> None:
    elsewhere = home[home["split"] != own[1]]
    if len(elsewhere):
        raise RelianceError(
            f"data set {own[0]}",
            f"distractors are taken from its split '{own[1]}'",
            found=f"image {elsewhere['image_id'].iloc[0]} of split {elsewhere['split'].iloc[0]!r}",
            allowed=f"images of split '{own[1]}', or a list with images of its own",
            next_step="the probes are trained on the other split: list images of this one",
        )
    _check_rows(f"data set {own[0]}, split {own[1]}", home["image_id"].to_numpy(), rows)


def _check_rows(where: object, image_ids: np.ndarray, rows: int) -> None:
    wrong = image_ids[(image_ids < 0) | (image_ids >= rows)]
    if len(wrong):
        raise RelianceError(
            where,
            "an image_id is a row of its split",
            found=int(wrong[0]),
            allowed=f"0 to {rows - 1}",
            next_step="the list was made for another version of the images: make it again",
        )


def _log_left_out(cases: pd.DataFrame, samples: pd.DataFrame, out: np.ndarray, why: str) -> None:
    if out.any():
        names = cases["failure_id"].iloc[np.unique(samples["case"].to_numpy(np.int64)[out])]
        log.warning("%d distractors %s and are left out, in %s", int(out.sum()), why, ", ".join(names))
