import numpy as np
import pandas as pd
import pytest

from reliance.base.claims import Finding, bullets
from reliance.concepts.findings import findings

from .examples import components


def baseline(*alignments: float) -> pd.DataFrame:
    return pd.DataFrame({"class_id": range(len(alignments)), "n": 1, "alignment": alignments})


def found(sae: pd.DataFrame, neurons: list[str], pca: list[str], *alignments: float) -> dict[str, Finding]:
    others = {"neurons": components(neurons), "pca": components(pca)}
    given = findings(sae, others, baseline(*alignments))
    assert len({f.name for f in given}) == len(given) == 7
    return {f.name: f for f in given}


def test_counts_by_hand() -> None:
    sae = components(["a", "b", "b", "c"])
    said = found(sae, ["a", "b", "", ""], ["a", "b", "c", "d", "a"], 0.0)
    assert said["unique:neurons"].holds is True  # 3 > 2
    assert said["unique:pca"].holds is False  # 3 < 4
    assert "3 labels on 4 components against 2 on 2" in said["unique:neurons"].numbers
    # one pair of the 6 of the SAE has a single label, one of the 10 of PCA, none of the neurons
    assert said["unique_at_equal_numbers:neurons"].holds is False
    assert "1.8 labels expected against 2.0" in said["unique_at_equal_numbers:neurons"].numbers
    assert said["unique_at_equal_numbers:pca"].holds is False
    assert "at 2 components" in said["unique_at_equal_numbers:pca"].numbers


def test_equal_counts_are_not_more() -> None:
    said = found(components(["a", "b"]), ["a", "b"], ["c", "d"], 0.0)
    assert {said[name].holds for name in said if name.startswith("unique")} == {False}


def test_a_basis_without_names_decides_nothing() -> None:
    said = found(components(["a", "b"]), ["", ""], ["a"], 0.0)
    assert said["unique:neurons"].holds is None
    assert said["unique:pca"].holds is True
    assert said["unique_at_equal_numbers:pca"].holds is None  # no components are drawn


@pytest.mark.parametrize(("sign", "noise", "holds"), [(1, 0.1, True), (-1, 0.1, False), (1, 30.0, None)])
def test_clarity_and_activation(sign: int, noise: float, holds: bool | None) -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 2, 50)
    sae = components(["a"] * 50, top20_mean=x, clarity=sign * x + noise * rng.standard_normal(50))
    said = found(sae, ["a"], ["a"], 0.0)["activation_clarity"]
    assert said.holds is holds
    assert "50 components" in said.numbers


@pytest.mark.parametrize(("alignment", "holds"), [([1, 2, 3], True), ([1, 3, 4], False), ([1, 5], False)])
def test_components_below_the_median_class(alignment: list[float], holds: bool) -> None:
    sae = components(["a"] * len(alignment), alignment=np.array(alignment, dtype=float))
    assert found(sae, ["a"], ["a"], 2.0, 3.0, 9.0)["below_baseline"].holds is holds


def test_nothing_to_judge_by() -> None:
    empty = components([])
    for sae, classes in ((empty, [0.1]), (components(["a"]), [])):
        said = found(sae, ["a"], ["a"], *classes)
        assert said["below_baseline"].holds is None
    said = found(empty, [], [])
    assert {f.holds for f in said.values()} == {None}
    assert "undecided" in bullets(list(said.values()))


def test_labels_that_are_written_words_are_counted_apart() -> None:
    words = [f"the written word {name}" for name in "abc"]
    others = {"neurons": components(["a", "b", "c"]), "pca": components(["a"])}
    given = findings(components(["a", "b", *words]), others, baseline(0.0))
    said = {f.name: f for f in given}
    assert said["unique:neurons"].holds is True and said["unwritten_unique:neurons"].holds is False
    assert "2 labels on 2 components against 3 on 3" in said["unwritten_unique:neurons"].numbers
    assert "written words not counted" in said["unwritten_unique:neurons"].claim
    assert len(said) == len(given) == 11


@pytest.mark.parametrize(("clear", "holds"), [(1, True), (5, False)])
def test_most_components_are_low_in_both_or_not(clear: int, holds: bool) -> None:
    high = np.arange(10) < clear
    sae = components(["a"] * 10, top20_mean=np.where(high, 3.0, 1.0), clarity=np.where(high, 0.9, 0.1))
    said = found(sae, ["a"], ["a"], 0.0)["low_in_both"]
    assert said.holds is holds
    assert f"{10 * (10 - clear)} % of 10 components" in said.numbers and "more than 50 %" in said.numbers


def test_controls_are_counted_beside_the_bases() -> None:
    others = {"random": components(["a", "b"]), "untrained": components(["a"])}
    said = {f.name: f for f in findings(components(["a", "b"]), others, baseline(0.0))}
    assert said["unique:random"].holds is False and said["unique:untrained"].holds is True
    assert "than an SAE before its training" in said["unique:untrained"].claim
