"""Figures of the lens: what is drawn, and that captions judge by the numbers."""

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import write_table
from reliance.figures.lens.lens_direction import lens_direction
from reliance.figures.lens.lens_layers import lens_layers
from reliance.figures.lens.lens_selectivity import lens_selectivity
from reliance.figures.lens.lens_words import lens_words
from reliance.figures.sheet import Sheet, Shown
from reliance.lens.evaluate import ACCURACY
from reliance.lens.neurons import NEURONS

SHOWN = Shown(["made"], [False])


def accuracies(lost: float) -> pd.DataFrame:
    rows = [("baseline", np.nan, 0.9), ("second_order", np.nan, 0.9 - lost), ("direction", np.nan, 0.895)]
    rows += [("first_order", np.nan, 0.88), ("indirect", np.nan, 0.3)]
    for share in (0.01, 0.02, 0.1):
        rows += [
            ("significant", share, 0.9 - lost / 2),
            ("insignificant", share, 0.89),
            ("random", share, 0.9),
        ]
    rows += [("words", m, 0.8 + m / 100) for m in (1, 4, 8)]
    frame = pd.DataFrame(rows, columns=["method", "value", "accuracy"])
    return frame.assign(images=2000, significant=np.nan)


@pytest.fixture
def tables(tmp_path):
    paths = [tmp_path / f"{i}.parquet" for i in range(2)]
    for path, lost in zip(paths, (0.4, 0.01), strict=True):
        write_table(path, accuracies(lost), ACCURACY, {"lost": lost}, {})
    return paths


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (lens_selectivity, ["without significant ones", "as it is", "block 0", "block 2"]),
        (lens_layers, ["neurons ablated in a pass", "along one direction each"]),
        (lens_words, ["along m words each", "words m"]),
    ],
)
def test_accuracies_are_drawn_and_judged(tables, outputs, drawn, figure, words) -> None:
    figure(accuracies=tables, blocks=[0, 2], shown=SHOWN, sheet=Sheet(**outputs))
    assert set(words) <= set(drawn())
    caption = outputs["caption"].read_text()
    assert "**holds** in block 0" in caption
    assert len(pd.read_csv(outputs["csv"])) > 4


def test_little_to_lose_is_undecided(tables, outputs, drawn_figure) -> None:
    lens_words(accuracies=tables, blocks=[0, 2], shown=SHOWN, sheet=Sheet(**outputs))
    assert "**undecided** in block 2" in outputs["caption"].read_text()


def test_neurons_are_drawn_as_distributions(tmp_path, outputs, drawn) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.random(30) for name in ("norm", "explained", "spread", "alignment")})
    frame = frame.assign(component=range(30), head=0, words="a +1.00", word="a", label="b", runner_up="c")
    frame["clarity"] = [np.nan, *rng.random(29)]
    write_table(tmp_path / "n.parquet", frame, NEURONS, {}, {})
    lens_direction(neurons=[tmp_path / "n.parquet"], blocks=[1], shown=SHOWN, sheet=Sheet(**outputs))
    assert {"block 1", "distance between its words"} <= set(drawn())
    assert "along one direction" in outputs["caption"].read_text()
