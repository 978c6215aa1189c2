from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reliance.concepts.concepts import (
    correlation,
    expected_labels,
    named,
    shared_concepts,
    unique_concepts,
    with_clarity,
)

from .examples import components


def brute(labels: list[str], drawn: int) -> float:
    return float(np.mean([len(set(chosen)) for chosen in combinations(labels, drawn)]))


def test_named_components_have_a_label() -> None:
    assert named(components(["a", "", "b", ""]))["component"].tolist() == [0, 2]


def test_unique_concepts_by_hand() -> None:
    found = unique_concepts({"sae": components(["a", "b", "b", ""]), "pca": components(["a", "", "a"])})
    assert found["name"].tolist() == ["sae", "pca"]
    assert found["n_components"].tolist() == [3, 2]
    assert found["n_unique"].tolist() == [2, 1]
    np.testing.assert_allclose(found["rarefied"], [5 / 3, 1])  # ab, ab, bb


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8), st.data())
def test_expected_labels_are_the_mean_over_all_draws(labels: list[str], data: st.DataObject) -> None:
    drawn = data.draw(st.integers(0, len(labels)))
    counts = pd.Series(labels).value_counts().to_numpy()
    assert expected_labels(counts, drawn) == pytest.approx(brute(labels, drawn), abs=1e-9)


def test_expected_labels_of_many_components() -> None:
    counts = np.full(5000, 4)
    assert expected_labels(counts, 20_000) == pytest.approx(5000)
    assert expected_labels(counts, 1) == pytest.approx(1, abs=1e-6)
    found = expected_labels(counts, 10_000)  # each label is missed with probability about 1 / 16
    miss = (10_000 * 9_999 * 9_998 * 9_997) / (20_000 * 19_999 * 19_998 * 19_997)
    assert found == pytest.approx(5000 * (1 - miss), rel=1e-9)


def test_more_cannot_be_drawn_than_there_are() -> None:
    with pytest.raises(ValueError, match="4 of 3"):
        expected_labels(np.array([2, 1]), 4)


def test_a_table_without_names_takes_everything_away() -> None:
    found = unique_concepts({"sae": components(["a", "b"]), "pca": components(["", ""])})
    assert found[["n_components", "n_unique"]].to_numpy().tolist() == [[2, 2], [0, 0]]
    np.testing.assert_allclose(found["rarefied"], [0, 0], atol=1e-12)
    assert len(unique_concepts({})) == 0


def test_shared_concepts_by_hand() -> None:
    frames = {
        "a": components(["x", "y", "y", ""]),
        "b": components(["y", "z", "w"]),
        "c": components(["y", "x", "v", "v"]),
    }
    found = shared_concepts(frames)
    assert found.to_dict("list") == {
        "name": ["a", "b", "c"],
        "n_unique": [2, 3, 3],
        "n_only": [0, 2, 1],
        "n_all": [1, 1, 1],
        "n_union": [5, 5, 5],
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=6), min_size=1, max_size=4))
def test_shared_concepts_are_those_of_sets(labels: list[list[str]]) -> None:
    sets = [set(found) - {""} for found in labels]
    found = shared_concepts({str(i): components(given) for i, given in enumerate(labels)})
    assert (found["n_union"] == len(set().union(*sets))).all()
    assert (found["n_all"] == len(set.intersection(*sets))).all()
    for i, mine in enumerate(sets):
        others = set().union(*(s for j, s in enumerate(sets) if j != i))
        assert found["n_only"][i] == len(mine - others)
        assert found["n_unique"][i] == len(mine)


def cloud(n: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=n)
    clarity = np.log(x) + rng.standard_normal(n)
    return components(["a"] * n, top20_mean=x, clarity=clarity)


@pytest.mark.parametrize("log", [False, True])
def test_correlation_is_that_of_scipy(log: bool) -> None:
    frame = cloud()
    x = np.log10(frame["top20_mean"]) if log else frame["top20_mean"]
    referee = stats.pearsonr(x, frame["clarity"])
    found = correlation(frame, "top20_mean", log)
    interval = referee.confidence_interval(0.95)
    np.testing.assert_allclose(found[:3], [referee.statistic, interval.low, interval.high], rtol=1e-9)
    assert found.spearman == pytest.approx(stats.spearmanr(x, frame["clarity"]).statistic)
    assert found.n == 40


def test_correlation_of_four_components_by_hand() -> None:
    frame = components(["a"] * 4, mean=[1.0, 1, 2, 2], clarity=[0.0, 1, 1, 2])
    r = 1 / np.sqrt(2)
    ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.959963985)
    found = correlation(frame, "mean")
    np.testing.assert_allclose(found[:3], [r, *ends], rtol=1e-6)


def test_components_without_a_name_a_clarity_or_a_value_are_left_out() -> None:
    frame = cloud(8)
    frame.loc[0, "label"] = ""
    frame.loc[1, "clarity"] = np.nan
    frame.loc[2, "top20_mean"] = np.nan
    frame.loc[3, "top20_mean"] = 0
    frame.loc[4, "top20_mean"] *= -1
    assert with_clarity(frame, "top20_mean")["component"].tolist() == [4, 5, 6, 7]
    assert with_clarity(frame, "top20_mean", log=True)["component"].tolist() == [5, 6, 7]
    assert correlation(frame, "top20_mean", log=True).n == 3


def test_a_perfect_correlation_has_an_interval_of_no_width() -> None:
    found = correlation(components(["a"] * 5, mean=np.arange(1.0, 6), clarity=np.arange(1.0, 6)), "mean")
    np.testing.assert_allclose(found[:3], [1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_components(n: int) -> None:
    found = correlation(cloud(n), "top20_mean")
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(found.r) == (n < 2)
    assert found.n == n


@pytest.mark.parametrize("constant", ["clarity", "mean"])
def test_a_constant_has_no_correlation(constant: str) -> None:
    frame = components(["a"] * 9, **{"mean": np.arange(1.0, 10), "clarity": np.arange(9.0), constant: 3.0})
    found = correlation(frame, "mean")
    assert np.isnan(found[:4]).all()
    assert found.n == 9
