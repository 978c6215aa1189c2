"""From failure to repair on the small planted variant: the numbers of the page, from the files alone."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from reliance.base.errors import RelianceError
from reliance.explore.mended import mend

from .project import Project
from .test_end_to_end import _array, _output, _tensor

RESULTS = "results/tiny/repair"


@pytest.fixture(scope="module")
def mended(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The variant with its page of repairs."""
    project = built.copy(tmp_path_factory.mktemp("mended") / "project")
    project.build("results/tiny/repair.html")
    return project


def tables(project: Project, *names: str) -> list[pd.DataFrame]:
    return [pd.read_parquet(project.folder / RESULTS / f"{name}.parquet") for name in names]


def activations(project: Project) -> np.ndarray:
    """Of all latents on the training images, [n, m]."""
    codes = project.folder / "results/tiny/codes/train"
    values, indices = (_array(codes, name) for name in ("values", "indices"))
    found = np.zeros((len(values), int(indices.max()) + 1))
    np.put_along_axis(found, indices.astype(np.int64), values.astype(np.float64), axis=1)
    return found


def test_every_image_that_scores_like_a_class_is_accounted_for_once(mended: Project) -> None:
    pairs, accounted, coverage = tables(mended, "confident", "accounted", "coverage")
    key = ["class_id", "image_id"]
    assert accounted[key].equals(pairs[key]) and len(pairs) > 50
    counts = pd.crosstab(accounted["class_id"], accounted["how"])
    for how in ("listed", "removed", "alike", "shared", "unexplained"):
        counts[how] = counts.get(how, 0)
    known = coverage.set_index("class_id")
    assert (counts.sum(axis=1) == known["confident"]).all()
    assert (counts["listed"] + counts["removed"] == known["explained"]).all()
    for how in ("listed", "alike", "shared"):
        assert (counts[how] == known[how]).all()


def test_what_is_removed_takes_the_image_to_the_line(mended: Project) -> None:
    accounted, cases, carriers = tables(mended, "accounted", "cases", "carriers")
    removed = accounted[accounted["how"] == "removed"]
    assert len(removed)
    results = mended.folder / "results"
    whole = (
        pd.read_parquet(results / "tiny/expectations.parquet").query("component < 0").set_index("class_id")
    )
    a, decoder = activations(mended), _tensor(results / "tiny/sae/sae.safetensors", "decoder_weight").numpy()
    x = _array(results / "encoders/tiny/class_token/planted_tiny/train", "x").astype(np.float64)
    for class_id, image in removed[["class_id", "image_id"]].itertuples(index=False):
        line = whole.loc[class_id, "y_mean"] - 1.5 * whole.loc[class_id, "y_std"]
        assert _output(results, x[image], class_id) > line
        without = []
        for case_id in cases.loc[cases["class_id"] == class_id, "case_id"]:
            units = carriers.loc[carriers["case_id"] == case_id, "unit"].to_numpy()
            without.append(_output(results, x[image] - a[image, units] @ decoder[units], class_id))
        assert min(without) <= line + 1e-4


def test_hit_rates_recounted(mended: Project) -> None:
    cases, pairs, families, samples = tables(mended, "cases", "confident", "families", "outlier_samples")
    a = activations(mended)
    index = pd.read_parquet(mended.folder / "results/datasets/planted_tiny/index.parquet")
    labels = index[index["split"] == "train"].sort_values("image_id")["class_id"].to_numpy()
    m = _tensor(mended.folder / "results/tiny/sae/sae.safetensors", "decoder_weight").shape[0]
    assert len(cases)
    beyond = (cases["hit_rate"] - cases["usual"]) / (1 - cases["usual"])
    assert (beyond >= 0.25).all()
    for case in cases.itertuples():
        family = families.loc[families["family"] == case.component - m, "unit"]
        on = a[:, [case.component] if case.component < m else family].sum(axis=1)
        own = samples[(samples["class_id"] == case.class_id) & (samples["component"] == case.component)]
        least = np.sort(on[own["image_id"]])[int(0.25 * (len(own) - 1))]
        strong = np.flatnonzero((on >= least - 1e-6) & (labels != case.class_id))
        above = pairs.loc[pairs["class_id"] == case.class_id, "image_id"]
        assert (len(strong), np.isin(strong, above).mean()) == (case.as_active, pytest.approx(case.hit_rate))
        assert len(above) / (labels != case.class_id).sum() == pytest.approx(case.usual)


def test_the_page_and_the_mended_classifier_are_there(mended: Project) -> None:
    page = (mended.folder / "results/tiny/repair.html").read_text(encoding="utf-8")
    cases, coverage = tables(mended, "cases", "coverage")
    assert all(case_id in page for case_id in cases["case_id"])
    assert f"{coverage['confident'].sum()} pairs of a class" in page and "look like their images" in page
    with safe_open(mended.folder / "results/tiny/repaired/classifier.safetensors", "np") as file:
        weight, classes = file.get_tensor("weight"), json.loads(file.metadata()["classes"])
    judged = json.loads((mended.folder / "results/tiny/repaired/edits.json").read_text())["judged"]
    assert len(weight) == len(classes) and judged["top1_after"] >= judged["top1_before"] - 0.005


def test_the_export_of_one_case_leaves_that_of_all_as_it_is(mended: Project) -> None:
    mended.build("results/tiny/variant.json")
    home = mended.folder / "results/tiny/repaired"
    before = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    case = tables(mended, "cases")[0]["case_id"].iloc[0]
    found = mend(mended.folder / "results/tiny", case)
    assert {row["case_id"] for row in found.rows} == {case}
    assert {path.parent for path in found.files} == {home / case} and all(p.is_file() for p in found.files)
    assert before == {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    with pytest.raises(RelianceError):
        mend(mended.folder / "results/tiny", "typo")
    assert not (home / "typo").exists()
    shutil.rmtree(home / case)


def test_every_artifact_is_whole(mended: Project) -> None:
    done = mended.verify()
    assert done.returncode == 0 and "whole" in done.stdout, done.stdout + done.stderr
