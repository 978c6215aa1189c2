from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.concepts.hidden import (
    Thresholds,
    band_of,
    hidden_concepts,
    judge,
    select,
    thresholds,
    top_classes,
)
from reliance.concepts.schema import ALIGNMENTS, HIDDEN
from reliance.failures.schema import EXPECTATIONS
from reliance.naming.table import COMPONENTS

from .examples import components

BANDS = (0.4, 0.6)


def expectations(y: dict[int, float], pairs: list[tuple[int, int, float]]) -> pd.DataFrame:
    """The columns of EXPECTATIONS from class -> mean output, and (class, component, mean relevance)."""
    rows = [{"class_id": c, "component": -1, "y_mean": mean} for c, mean in y.items()]
    rows += [{"class_id": c, "component": j, "mean": mean} for c, j, mean in pairs]
    frame = pd.DataFrame(rows, columns=[name for name, _ in EXPECTATIONS.columns])
    return frame.fillna({"n": 10, "n_active": 1}).sort_values(["class_id", "component"], ignore_index=True)


def named_components() -> pd.DataFrame:
    """Component 1 has no name."""
    return components(
        ["a", "", "b", "c", "d"],
        clarity=[0.7, np.nan, 0.6, 0.4, 0.1],
        top20_mean=[1.0, 9, 2, 3, 4],
        alignment=[0.10, np.nan, 0.30, 0.05, 0.20],
    )


PAIRS = [(5, 0, 0.02), (8, 0, 0.05), (5, 1, 0.4), (5, 2, 0.01), (8, 2, 0.02), (5, 3, -0.1), (8, 3, -0.2)]
OUTPUT = {5: 0.5, 8: 1.0}  # shares of component 0: 0.04, 0.05; of 2: 0.02, 0.02; 3 is against; 4 never fires


def test_the_class_with_the_largest_share_by_hand() -> None:
    found = top_classes(expectations(OUTPUT, PAIRS), 0.03)
    assert found.sort_index().reset_index().to_dict("list") == {
        "component": [0, 1, 2],
        "class_id": [8, 5, 5],  # of equal shares the lowest class
        "relevance": [0.05, 0.4, 0.01],
        "share": [0.05, 0.8, 0.02],
        "n_classes": [2, 1, 0],
    }


def test_the_threshold_itself_counts() -> None:
    found = top_classes(expectations({1: 1.0, 2: 1.0}, [(1, 0, 0.25), (2, 0, 0.125)]), 0.125)
    assert found.loc[0, "n_classes"] == 2
    used = Thresholds(0.25, max_alignment=0.5, min_activation=1.0)
    frame = components(["a"], alignment=0.5, top20_mean=1.0)
    judged = judge(frame.assign(nearest=frame["label"]), found, used, BANDS).iloc[0]
    assert judged["by_relevance"]  # share and alignment at the threshold
    assert not judged["by_activation"]  # activation has to be above it


def test_classes_without_a_positive_output_have_no_shares() -> None:
    found = top_classes(
        expectations({1: -0.5, 2: 0.0, 3: 0.5}, [(1, 0, -0.4), (2, 0, 0.4), (3, 0, 0.1)]), 0.03
    )
    assert found.loc[0].to_list() == [3, 0.1, 0.2, 1]


def test_hidden_concepts_by_hand() -> None:
    used = Thresholds(0.03, max_alignment=0.1, min_activation=0.5)
    frame = named_components()[lambda f: f["label"] != ""]
    found = judge(
        frame.assign(nearest=frame["label"]), top_classes(expectations(OUTPUT, PAIRS), 0.03), used, BANDS
    )
    assert list(found.columns) == [name for name, _ in HIDDEN.columns]
    assert found["component"].tolist() == [0, 2, 3, 4]
    assert found["band"].tolist() == ["clear", "clear", "middle", "diffuse"]
    assert found["activation"].tolist() == [1, 2, 3, 4]
    assert found["class_id"].tolist() == [8, 5, -1, -1]
    assert found["share"].tolist() == [0.05, 0.02, 0, 0]
    assert found["relevance"].tolist() == [0.05, 0.01, 0, 0]
    assert found["n_classes"].tolist() == [2, 0, 0, 0]
    assert found["by_relevance"].tolist() == [True, False, False, False]
    assert found["by_activation"].tolist() == [True, False, True, False]


def test_nobody_fires_and_nobody_has_a_name() -> None:
    nothing = top_classes(expectations(OUTPUT, []), 0.03)
    used = Thresholds(0.03, 2.0, 0.0)
    found = judge(components(["a", "b"]).assign(nearest="a"), nothing, used, BANDS)
    assert found["class_id"].tolist() == [-1, -1]
    assert not found["by_relevance"].any()
    assert found["by_activation"].all()
    assert len(judge(components([]).assign(nearest=""), nothing, used, BANDS)) == 0


def test_bands_by_hand() -> None:
    clarity = pd.Series([0.6, 0.59, 0.4, 0.39, -0.1, np.nan], dtype="float32")
    assert band_of(clarity.astype(float).round(2), BANDS).tolist() == [
        "clear",
        "middle",
        "middle",
        "diffuse",
        "diffuse",
        "",
    ]


@given(st.lists(st.floats(-1, 1), max_size=20), st.floats(-1, 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_every_clarity_is_in_its_band(clarity: list[float], low: float, width: float) -> None:
    found = band_of(pd.Series(clarity, dtype=float), (low, low + width))
    for value, band in zip(clarity, found, strict=True):
        assert band == ("clear" if value >= low + width else "middle" if value >= low else "diffuse")


def test_thresholds_that_are_not_set_follow_from_the_tables() -> None:
    frame = components(["a"] * 11, top20_mean=np.arange(11.0))
    baseline = pd.Series(np.linspace(0, 1, 21))
    assert thresholds(frame, baseline) == pytest.approx(
        (0.03, 0.25, 9.0)
    )  # half the median of 0, .05, ..., 1
    assert thresholds(frame, baseline, 0.1, 0.0, 3.0) == (0.1, 0.0, 3.0)
    assert thresholds(frame[:0], baseline[:0]) == (0.03, 0.0, 0.0)


def gallery() -> pd.DataFrame:
    """Columns of HIDDEN that `select` looks at."""
    rows = [
        (0, "clear", 0.30, 5.0, 0.50),
        (1, "clear", 0.10, 5.0, 0.05),
        (2, "clear", 0.05, 5.0, 0.00),
        (3, "clear", 0.20, 5.0, 0.00),
        (4, "clear", 0.01, 1.0, 0.40),
        (5, "clear", 0.00, 1.0, 0.00),
        (6, "diffuse", 0.40, 5.0, 0.04),
        (7, "", 0.00, 5.0, 0.90),
    ]
    frame = pd.DataFrame(rows, columns=["component", "band", "alignment", "activation", "share"])
    astray = frame["alignment"] <= 0.10
    return frame.assign(
        by_activation=astray & (frame["activation"] > 3), by_relevance=astray & (frame["share"] >= 0.03)
    )


@pytest.mark.parametrize(
    ("by", "per_band", "expected", "flagged"),
    [
        ("activation", 9, [2, 1, 3, 0, 6], 2),
        ("activation", 3, [2, 1, 3, 6], 2),
        ("relevance", 9, [4, 1, 0, 6], 2),
        ("relevance", 1, [4, 6], 1),
    ],
)
def test_flagged_components_come_first(by: str, per_band: int, expected: list[int], flagged: int) -> None:
    found = select(gallery(), by, per_band, Thresholds(0.03, 0.10, 3.0))
    assert found["component"].tolist() == expected
    assert found["flagged"].tolist() == [j in (1, 2, 4) for j in expected]
    assert found["flagged"].sum() == flagged


def test_components_are_selected_by_nothing_else() -> None:
    with pytest.raises(ValueError, match="clarity"):
        select(gallery(), "clarity", 3, Thresholds(0.03, 0.1, 3.0))
    assert len(select(gallery()[:0], "relevance", 3, Thresholds(0.03, 0.1, 3.0))) == 0


class World:
    """All inputs of the stage in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frame = named_components()
        self.paths: dict[str, Any] = {
            "components": self.components("components", self.frame),
            "attributions": self.explain([(0, c, j, 10 * mean) for c, j, mean in PAIRS]),
            "expectations": self.expectations("expectations"),
            "alignments": self.alignments("alignments"),
        }

    def components(self, name: str, frame: pd.DataFrame, **inputs: str) -> Path:
        named = {"codes": "c" * 64, "labels": "l" * 64, "vocabulary": "v" * 64, **inputs}
        write_table(self.folder / name, frame, COMPONENTS, {"top_n": 20}, named)
        return self.folder / name

    def expectations(self, name: str, codes: str = "c" * 64) -> Path:
        inputs = {"codes": codes, "attributions": self.attributions}
        write_table(self.folder / name, expectations(OUTPUT, PAIRS), EXPECTATIONS, {}, inputs)
        return self.folder / name

    def explain(self, rows: list[tuple[int, int, int, float]]) -> Path:
        """Attributions with these (image, class, component, exact effect); act x grad is something else."""
        frame = pd.DataFrame(rows, columns=["image_id", "class_id", "component", "ablation"])
        frame = frame.assign(activation=1.0, act_x_grad=-9.0, logit_lens=0.0)
        path = self.folder / f"attributions-{len(list(self.folder.iterdir()))}"
        params = {"components": 5, "rows": str(rows)}
        self.attributions = write_table(path, frame, ATTRIBUTIONS, params, {}).id
        return path

    def alignments(self, name: str, vocabulary: str = "v" * 64) -> Path:
        frame = pd.DataFrame({"class_id": range(21), "n": 3, "alignment": np.linspace(0.05, 2.05, 21)})
        write_table(self.folder / name, frame, ALIGNMENTS, {}, {"vocabulary": vocabulary})
        return self.folder / name

    def run(self, **changes: Any) -> Any:
        out = self.folder / "hidden.parquet"
        hidden_concepts(**{**self.paths, "hidden": out, **changes})
        return read_table(out, HIDDEN)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_table_and_the_thresholds_it_was_made_with(world: World) -> None:
    frame, stamp = world.run()
    assert frame["component"].tolist() == [0, 2, 3, 4]
    assert stamp.params["bands"] == [0.4, 0.6]
    assert stamp.params["derived"] == ["max_alignment", "min_activation"]
    assert Thresholds.of(stamp) == pytest.approx(
        (0.03, 0.525, 3.7)
    )  # 1.05 / 2, and the 0.9 quantile of 1, 2, 3, 4
    assert frame["by_relevance"].tolist() == [True, False, False, False]
    assert frame["by_activation"].tolist() == [False, False, False, True]
    assert frame["band"].tolist() == ["clear", "clear", "middle", "diffuse"]  # float32 0.6 and 0.4, too
    assert set(stamp.inputs) == {"components", "expectations", "alignments", "attributions"}


def test_shares_are_exact_effects_over_all_images_of_the_class(world: World) -> None:
    rows = [(i, 5, 0, 0.125) for i in range(4)] + [(20, 8, 2, 0.5), (21, 5, 3, -0.5)]
    attributions = world.explain(rows)
    frame, stamp = world.run(attributions=attributions, expectations=world.expectations("own.parquet"))
    assert frame["component"].tolist() == [0, 2, 3, 4]
    assert frame["class_id"].tolist() == [5, 8, -1, -1]
    # 4 of 10 images lose .125 of .5; 1 of 10 loses .5 of 1; 3 speaks against its class
    np.testing.assert_allclose(frame["share"], [0.4 * 0.125 / 0.5, 0.1 * 0.5 / 1.0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(frame["relevance"], [0.05, 0.05, 0, 0], rtol=1e-6)
    by_class = [(0.4 * 0.125 - 0.1 * 0.5) / 0.5, 0.1 * 0.5 / 1.0]
    assert stamp.params["total_share"] == pytest.approx(np.median(by_class))


def test_other_attributions_than_those_of_the_expectations_are_refused(world: World) -> None:
    with pytest.raises(RelianceError, match="same attributions"):
        world.run(attributions=world.explain([(0, 5, 0, 0.1)]))


def test_thresholds_that_are_set(world: World) -> None:
    frame, stamp = world.run(min_relevance=0.02, max_alignment=0.3, min_activation=1.5, bands=[0.2, 0.5])
    assert Thresholds.of(stamp) == (0.02, 0.3, 1.5)
    assert (stamp.params["derived"], stamp.params["bands"]) == ([], [0.2, 0.5])
    assert frame["by_relevance"].tolist() == [True, True, False, False]
    assert frame["by_activation"].tolist() == [False, True, True, True]
    assert world.run(max_alignment=0).stamp.params["derived"] == ["min_activation"]


def test_components_can_be_held_against_other_names(world: World) -> None:
    asked = world.frame.assign(
        label=["x", "", "y", "", "z"],
        alignment=[0.9, np.nan, 0.01, np.nan, 0.02],
        runner_up="other",
        max=99.0,
    )
    frame, stamp = world.run(asked=world.components("asked", asked, vocabulary="w" * 64))
    assert frame["nearest"].tolist() == ["x", "y", "z"]  # 3 has a name in one table only
    own = world.frame.set_index("component").loc[frame["component"]]
    assert frame["label"].tolist() == own["label"].tolist()
    assert frame["runner_up"].tolist() == own["runner_up"].tolist()
    np.testing.assert_allclose(frame["alignment"], [0.9, 0.01, 0.02], rtol=1e-6)
    assert not frame["by_relevance"].any()  # 0 is well aligned now
    assert frame["by_activation"].tolist() == [False, False, True]  # above 0.9 x the way from 2 to 4
    assert "asked" in stamp.inputs


def test_what_does_not_belong_together_is_refused(world: World) -> None:
    with pytest.raises(RelianceError, match="same codes"):
        world.run(expectations=world.expectations("e", codes="d" * 64))
    with pytest.raises(RelianceError, match="same vocabulary"):
        world.run(alignments=world.alignments("a", vocabulary="w" * 64))
    with pytest.raises(RelianceError, match="same codes"):
        world.run(asked=world.components("b", world.frame, codes="d" * 64))
    with pytest.raises(RelianceError, match="same labels"):
        world.run(asked=world.components("b", world.frame, labels="m" * 64))
    basis = world.folder / "basis"
    write_table(basis, world.frame, COMPONENTS, {}, {"embeddings": "e" * 64, "vocabulary": "v" * 64})
    with pytest.raises(RelianceError, match="same codes"):
        world.run(components=basis)
