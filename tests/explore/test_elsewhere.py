"""The same unit in other variants, as the card of a unit shows it."""

import shutil

import numpy as np
import pandas as pd
import pytest

import reliance
from reliance.base.artifacts import write_table
from reliance.base.stamps import read_stamp
from reliance.explore.elsewhere import elsewhere
from reliance.matching.schema import MATCHES
from reliance.naming.table import COMPONENTS


def write_matches(study, codes: str, name: str = "made", others=("large", "small")) -> None:
    m = len(study.components)
    there = np.arange(m)[::-1]
    frames = [
        pd.DataFrame(
            {"variant": study.variant, "component": np.arange(m), "other": other, "match": there}
        ).assign(
            correlation=0.8 + 0.1 * i,
            nearest=np.where(np.arange(m) == 1, -1, there),
            nearest_correlation=0.8 + 0.1 * i,
            mutual=i == 0,
            cosine=np.nan,
            nearest_by_cosine=-1,
            nearest_cosine=np.nan,
        )
        for i, other in enumerate(others)
    ]
    path = study.results / f"compare/{name}/matches.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    params = {"variants": ["large", study.variant, "small"]}
    write_table(path, pd.concat(frames), MATCHES, params, {"codes_1": codes})


@pytest.fixture
def study(asked, tmp_path):
    """A copy, beside which matches are written."""
    shutil.copytree(asked.results, tmp_path / "results")
    return reliance.open(tmp_path / "results/demo")


def test_a_card_says_how_sure_the_name_is(study) -> None:
    assert "a coin toss: 50%, else kite" in study.component(0).text()
    assert "holds in 90% of draws" in study.component(1).text()
    assert "coin toss" in study.find("").text()


@pytest.fixture
def codes(study) -> str:
    return read_stamp(study.path("codes", "train")).id


def test_the_most_correlated_unit_of_every_other_variant(study, codes) -> None:
    write_matches(study, codes)
    frame = study.components.assign(label=[f"name {i}" for i in range(len(study.components))])
    (study.results / "small").mkdir()
    write_table(study.results / "small/components.parquet", frame, COMPONENTS, {}, {})
    found = elsewhere(study, 0)
    last = len(frame) - 1
    assert [(e.variant, e.component, e.name) for e in found] == [
        ("small", last, f"name {last}"),
        ("large", last, ""),
    ]
    assert [(e.mutual, e.matched) for e in found] == [(False, True), (True, True)]
    assert elsewhere(study, 1) == []
    said = study.component(0).text()
    assert "The same unit in other models" in said
    assert f"name {last}" in said


def test_matches_of_other_codes_do_not_count(study) -> None:
    write_matches(study, "0" * 64)
    assert elsewhere(study, 0) == []
