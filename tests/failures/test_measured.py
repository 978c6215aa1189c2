"""Contrastive expectations and flags against the slow reference, relevances minus their mean over classes."""

import numpy as np
import pytest

from attribution.toy import CLASS_IDS
from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.failures.measured import contrastive_expectations
from reliance.failures.outliers import OUTLIERS, Mining, mine_outliers

from . import slow
from .test_outliers import DOUBLE, FORMS, RULE, expect, toy, used  # noqa: F401


@pytest.mark.parametrize("relevance", FORMS)
def test_contrastive_mining_equals_the_slow_reference(toy, tmp_path, relevance):  # noqa: F811
    y, r = toy.dense[relevance]
    beyond = r - r.mean(axis=1, keepdims=True)
    rows = used(toy)
    floor = {**RULE, "min_relevance": 0.0}
    kept, _, _ = slow.mine(toy, y, beyond, rows, floor)
    expected = tmp_path / "expectations.parquet"
    contrastive_expectations(
        toy.explained, expectations=expected, every_nth=1, relevance=relevance, computing=DOUBLE
    )
    out = {name: tmp_path / f"{name}.parquet" for name in ("outliers", "outlier_samples")}
    shared = {"every_nth": 1, "relevance": relevance, "contrastive": True, "computing": DOUBLE}
    mine_outliers(toy.explained, expectations=expected, **out, **shared, rule=Mining(**floor))
    found = read_table(out["outliers"], OUTLIERS).frame
    assert kept, "there is something to find"
    assert list(zip(found["class_id"], found["component"], strict=True)) == [
        (CLASS_IDS[c], j) for c, j in kept
    ]
    relevances = [pair["mean_relevance"] for pair in kept.values()]
    np.testing.assert_allclose(found["mean_relevance"], relevances, rtol=1e-5)
    whole = y[rows].mean()
    floors = {
        CLASS_IDS[c]: 0.3 * (y[[i for i in rows if toy.labels[i] == c], c].mean() - whole) for c in range(4)
    }
    mine_outliers(
        toy.explained, expectations=expected, **out, **shared, rule=Mining(**{**RULE, "min_relevance": 0.3})
    )
    above = read_table(out["outliers"], OUTLIERS).frame
    wanted = found[found["mean_relevance"] > found["class_id"].map(floors).abs()]
    assert len(above) == len(wanted)


def test_plain_expectations_are_refused_for_contrastive_mining(toy, tmp_path):  # noqa: F811
    plain = expect(toy, tmp_path)
    out = {name: tmp_path / f"{name}.parquet" for name in ("outliers", "outlier_samples")}
    with pytest.raises(RelianceError, match="the same relevance"):
        mine_outliers(
            toy.explained, expectations=plain, **out, every_nth=1, contrastive=True, computing=DOUBLE
        )
