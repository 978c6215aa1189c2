"""What the galleries of failure cases show: cases of several lists with their names, scores and images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, check_same, read_table
from reliance.codes.boxes import boxes_in
from reliance.codes.store import Codes, open_codes
from reliance.codes.top_samples import BOX
from reliance.failures.case_list import read_failures, read_samples
from reliance.failures.external import check_cases
from reliance.failures.schema import OUTLIER_SAMPLES
from reliance.figures.thumbnails import Album
from reliance.images.tables import CLASSES
from reliance.naming.table import COMPONENTS
from reliance.robustness.summary import PLANTED, ROBUSTNESS, read_results

TYPES = {"class_id": "int64", "component": "int64", "score": "float64", "external": "bool"}
FLAG = ["class_id", "component", "split", "image_id"]


class _List(NamedTuple):
    """One list of cases as read."""

    path: Path
    cases: pd.DataFrame  # failures.tsv's columns and external
    samples: pd.DataFrame  # case (row among the cases of all lists), dataset, split, image_id
    stamp: Stamp


class Lists(NamedTuple):
    """All cases that can be shown, mined ones first."""

    cases: (
        pd.DataFrame
    )  # failures.tsv's columns and external, short_name, number, label, spurious_auc, n_images
    samples: (
        pd.DataFrame
    )  # case (row of `cases`), dataset, split, image_id, relevance, y, z (nan if not mined)
    latents: int  # of the SAE that mined; numbers of other cases are above
    ids: dict[str, str]  # of everything that was read
    indexes: list[tuple[Path, str, str]]  # list, a data set it shows, the id of the index it was made from
    codes: Codes | None = None  # of train by the variant that mined, if its units are of patches


class Cases(NamedTuple):
    """The files of the mined cases of a variant, and the benchmark that was run on them."""

    failures: Path
    failure_samples: Path
    outlier_samples: Path
    components: Path  # of the variant that mined
    classes: Path  # of the data set
    robustness: Path  # of the variant that is shown
    located: Path | None = None  # codes of train of the variant that mined, if its units are of patches


class ExternalLists(NamedTuple):
    """Further lists of cases that the benchmark had."""

    external_failures: Sequence[Path] = ()
    external_samples: Sequence[Path] = ()
    external_sources: Sequence[str] = ()  # of each list's cases, whatever it says itself; or none at all


def read_cases(files: Cases, external: ExternalLists, *, variant: str, probe: str) -> Lists:
    """Read mined cases and cases from elsewhere, without planted ones.

    variant : the one that is shown; `probe` is whose spurious AUC is taken.

    `number` is the latent of a mined case; other cases are counted on above the latents. Images are
    ordered by relevance, the largest first, then as in the list. Raises RelianceError if artifacts
    do not belong together.
    """
    named, names = read_table(files.classes, CLASSES), read_table(files.components, COMPONENTS)
    flags = read_table(files.outlier_samples, OUTLIER_SAMPLES)
    scored = read_table(files.robustness, ROBUSTNESS)
    tables = {"classes": named, "components": names, "outlier_samples": flags, "robustness": scored}
    failures = [files.failures, *external.external_failures]
    samples = [files.failure_samples, *external.external_samples]
    class_ids = set(named.frame["class_id"].tolist())
    read = _read_lists(failures, samples, external.external_sources, class_ids)
    mined = read[0]
    for one in read:
        _check_scored(files.robustness, scored.stamp, one)
    for name, path, found in (
        ("components", files.components, names.stamp.id),
        ("outliers", files.outlier_samples, flags.stamp.inputs["outliers"]),
    ):
        check_same(name, (path, found), (mined.path, mined.stamp.inputs.get(name, found)))
    every = pd.concat([one.cases for one in read], ignore_index=True).astype(TYPES)  # empty lists have none
    cases = _named(every, named.frame, names.frame)
    auc = read_results([files.robustness], [variant]).frame.query("probe == @probe")
    cases = cases.merge(
        auc[["source", "failure_id", "spurious_auc"]], how="left", on=["source", "failure_id"]
    )
    images = _by_relevance(pd.concat([one.samples for one in read], ignore_index=True), cases, flags.frame)
    cases["n_images"] = images.groupby("case").size().reindex(cases.index, fill_value=0)
    ids = {name: table.stamp.id for name, table in tables.items()}
    ids |= {f"failures_{i}": one.stamp.id for i, one in enumerate(read)}
    indexes = [
        (one.path, str(dataset), one.stamp.inputs["index"])
        for one in read
        for dataset in one.samples["dataset"].unique()
        if "index" in one.stamp.inputs
    ]
    codes = open_codes(files.located) if files.located else None
    if codes:
        check_same("codes", (codes.path, codes.stamp.id), (files.components, names.stamp.inputs["codes"]))
        ids["codes"] = codes.stamp.id
    return Lists(cases[cases["source"] != PLANTED], images, len(names.frame), ids, indexes, codes)


def locate_cases(shown: pd.DataFrame, lists: Lists, album: Album, most: int) -> pd.DataFrame:
    """The first images of every case that is shown: columns of `Lists.samples`, path, bytes, unit.

    shown : rows of `Lists.cases`; `case` becomes the place of the case in `shown`. `unit` is the latent of a
    mined case on the images that it was mined from, else -1. Of patches the columns of BOX are there, too.
    """
    for path, name, index_id in lists.indexes:
        if name in album.indexes:
            check_same("index", (path, index_id), (album.indexes[name], album.ids[f"index_{name}"]))
    place = dict(zip(shown.index, range(len(shown)), strict=True))
    samples = lists.samples[lists.samples["case"].isin(place)]
    samples = samples[samples.groupby("case").cumcount() < most]
    mined = ~shown["external"].loc[samples["case"]].to_numpy(bool)
    mined &= (samples["split"] == "train").to_numpy() & (samples["dataset"] == album.home).to_numpy()
    unit = np.where(mined, shown["component"].loc[samples["case"]], -1)
    samples = samples.assign(case=samples["case"].map(place), unit=unit)
    found = album.find(samples.sort_values("case", kind="stable"))
    if lists.codes:
        pairs = found.assign(component=found["unit"], known=found["unit"] >= 0)
        found[list(BOX)] = boxes_in(lists.codes, pairs)
    return found


def _read_lists(
    failures: Sequence[Path], samples: Sequence[Path], sources: Sequence[str], class_ids: set[int]
) -> list[_List]:
    read: list[_List] = []
    first = 0
    given: list[str | None] = [None, *(sources or (len(failures) - 1) * (None,))]
    for path, samples_path, source in zip(failures, samples, given, strict=True):
        cases, stamp = read_failures(path)
        images, images_stamp = read_samples(samples_path)
        check_cases(path, cases, images, class_ids)
        if "failures" in images_stamp.inputs:
            check_same("list of cases", (samples_path, images_stamp.inputs["failures"]), (path, stamp.id))
        place = dict(zip(cases["failure_id"], range(first, first + len(cases)), strict=True))
        images = images.assign(case=images["failure_id"].map(place)).drop(columns="failure_id")
        cases = cases.assign(external=bool(read), **({} if source is None else {"source": source}))
        read.append(_List(path, cases, images, stamp))
        first += len(cases)
    return read


def _check_scored(robustness: Path, stamp: Stamp, one: _List) -> None:
    scored = {name: found for name, found in stamp.inputs.items() if name.startswith("failures_")}
    if one.stamp.id not in scored.values():
        check_same("list of cases", (one.path, one.stamp.id), (robustness, scored.get("failures_0", "none")))


def _named(cases: pd.DataFrame, classes: pd.DataFrame, components: pd.DataFrame) -> pd.DataFrame:
    """The cases with the short name of their class, their number and their label.

    What a list from elsewhere notes of a case stands in place of a label.
    """
    labels = components.set_index("component")["label"]
    elsewhere = cases["external"] & (cases["source"] != PLANTED)
    above = len(components) + elsewhere.cumsum()
    return cases.assign(
        short_name=cases["class_id"].map(classes.set_index("class_id")["short_name"]),
        number=cases["component"].where(~cases["external"], above),
        label=cases["component"].map(labels).fillna("").where(~cases["external"], cases["note"]),
    )


def _by_relevance(samples: pd.DataFrame, cases: pd.DataFrame, flags: pd.DataFrame) -> pd.DataFrame:
    """The samples with relevance, y and z (nan if not mined), by case, then by falling relevance."""
    keys = cases[["class_id", "component", "external"]].reindex(samples["case"]).reset_index(drop=True)
    samples = pd.concat([samples.reset_index(drop=True), keys], axis=1)
    scores = samples.merge(flags, how="left", on=FLAG, validate="many_to_one")
    measured = ["relevance", "y", "z"]
    scores[measured] = scores[measured].where(~scores["external"])
    order = scores.sort_values(["case", "relevance"], ascending=[True, False], kind="stable")
    return order[["case", "dataset", "split", "image_id", *measured]].reset_index(drop=True)
