"""Segmentations, their pictures, and misleading words: what is drawn, its numbers, and its verdicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reliance.base.artifacts import write_table
from reliance.base.errors import RelianceError
from reliance.base.means import interval, wilson
from reliance.figures.canvas import Canvas
from reliance.figures.lens.bars import Bar, draw_panel
from reliance.figures.lens.lens_adversarial import lens_adversarial
from reliance.figures.lens.lens_pictures import SIDE, lens_pictures
from reliance.figures.lens.lens_segmentation import LOOKS, lens_segmentation
from reliance.figures.sheet import Sheet, Shown
from reliance.images.tables import CLASSES
from reliance.lens.examples import Examples, write_examples
from reliance.lens.schema import ATTACKS, CURVE, GENERATED, RECALLS, SEGMENTS

SHOWN = Shown(["made"], [False])
RNG = np.random.default_rng(0)
PICTURES, SIZE = 30, (40, 60)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    """Scores of thirty pictures, of which one has no scores; four of them kept; two classes."""
    rows = []
    for i, method in enumerate(LOOKS):
        curve = np.linspace(0.9 - 0.1 * i, 0.2, len(RECALLS))
        for image_id in range(PICTURES):
            noise = RNG.normal(0, 0.01)
            rows.append(
                (method, image_id, 0.8 + noise, 0.7 - 0.05 * i + noise, 0.6 + noise, 0.2, *(curve + noise))
            )
    frame = pd.DataFrame(rows, columns=["method", "image_id", "accuracy", "iou", "precision", "area", *CURVE])
    frame.loc[frame["image_id"] == 3, ["accuracy", "iou", "precision", "area", *CURVE]] = np.nan
    files = {name: tmp_path / f"{name}.{end}" for name, end in
             (("scored", "parquet"), ("examples", "safetensors"), ("classes", "parquet"))}  # fmt: skip
    inputs = {"text": "t", "weights": "w"}
    write_table(files["scored"], frame, SEGMENTS, {}, inputs)
    mask = np.zeros((4, *SIZE), np.uint8)
    mask[:, 10:20, 10:30] = 1
    heat = RNG.integers(0, 256, (4, len(LOOKS), *SIZE), dtype=np.uint8)
    heat[0, 0] = 0  # alike everywhere: no outline
    pixels = RNG.integers(0, 256, (4, *SIZE, 3), dtype=np.uint8)
    shown = Examples(np.array([0, 5, 9, 29]), np.array([4, 7, 7, 4]), pixels, mask, heat)
    write_examples(files["examples"], shown, {"methods": list(LOOKS)[::-1]}, inputs)
    classes = pd.DataFrame({"class_id": [4, 7], "short_name": ["crane", "a rook with a very long name"]})
    classes = classes.assign(folder=["a", "b"], full_name="", definition="")
    write_table(files["classes"], classes, CLASSES, {}, {})
    return files


def test_means_intervals_and_curves_are_those_of_the_scores(made: Any, outputs: Any, drawn: Any) -> None:
    lens_segmentation(scored=made["scored"], shown=SHOWN, sheet=Sheet(**outputs))
    assert {"pixels right", "IoU", "average precision", "neurons, signed", "neurons at random"} <= set(
        drawn()
    )
    numbers = pd.read_csv(outputs["csv"])
    scores = pd.read_parquet(made["scored"])
    own = scores.loc[scores["method"] == "rollout", "precision_at_50"].to_numpy(float)
    row = numbers[(numbers["method"] == "rollout") & (numbers["recall"] == 50)].iloc[0]
    np.testing.assert_allclose(row[["mean", "low", "high"]].astype(float), interval(own), rtol=1e-5)
    assert (numbers["pictures"] == PICTURES - 1).all()
    assert len(numbers) == len(LOOKS) * (3 + len(RECALLS))
    caption = outputs["caption"].read_text()
    assert "29 test pictures" in caption and "(20.0 %)" in caption
    assert "**holds** against raw attention" in caption


def test_pictures_stand_with_their_class_mask_and_scores(made: Any, outputs: Any, drawn_figure: Any) -> None:
    lens_pictures(**made, shown=SHOWN, sheet=Sheet(**outputs))
    figure = drawn_figure()
    texts = {text.get_text() for text in figure.texts}
    scores = pd.read_parquet(made["scored"]).set_index(["method", "image_id"])["iou"]
    assert {"picture", "mask", "crane", "8%", f"{scores['signed neurons', 5]:.2f}"} <= texts
    assert any(text.startswith("a rook") and text.endswith("…") for text in texts)
    tiles = [axes for axes in figure.axes if axes.images]
    assert len(tiles) == 4 * (2 + len(LOOKS))
    assert tiles[0].images[0].get_array().shape == (*SIZE, 3) and max(SIZE) <= SIDE
    outlined = [len(axes.collections) for axes in tiles]
    assert sum(outlined) == 4 * len(LOOKS) - 1
    # heat is kept in another order than it is drawn in: the flat one is that of the first kept
    flat = list(LOOKS).index(list(LOOKS)[::-1][0])
    assert not outlined[2 + flat] and all(outlined[10:16])
    numbers = pd.read_csv(outputs["csv"])
    assert numbers["taken_for"].tolist()[0] == "crane" and numbers["image_id"].tolist() == [0, 5, 9, 29]


def test_pictures_of_another_segmentation_are_refused(made: Any, outputs: Any, tmp_path: Path) -> None:
    frame = pd.read_parquet(made["scored"])
    write_table(made["scored"], frame, SEGMENTS, {}, {"text": "other", "weights": "w"})
    with pytest.raises(RelianceError, match="same text"):
        lens_pictures(**made, shown=SHOWN, sheet=Sheet(**outputs))


def attacks(path: Path) -> Path:
    means = {"neurons": 0.6, "indirect": 0.5, "similar": 0.9, "random": 0.1, "nothing": 0.0}
    rows = [
        (i, i + 1, way, "sea", "sale", 20, mean + RNG.normal(0, 0.03) if mean else 0.05 * (i == 0), 0.1)
        for way, mean in means.items()
        for i in range(12)
    ]
    write_table(path, pd.DataFrame(rows, columns=[name for name, _ in ATTACKS.columns]), ATTACKS, {}, {})
    return path


def generated(path: Path) -> Path:
    wins = {"random": (1, 0), "neurons": (7, 9)}
    rows = [
        (way, i, i + 1, "crane", "rook", 10, count, *wilson(count, 10), 0.1 * i)
        for way, counts in wins.items()
        for i, count in enumerate(counts)
    ]
    write_table(path, pd.DataFrame(rows, columns=[name for name, _ in GENERATED.columns]), GENERATED, {}, {})
    return path


def test_drawn_and_generated_pictures_stand_beside_each_other(
    tmp_path: Path, outputs: Any, drawn: Any
) -> None:
    files = {"attacks": attacks(tmp_path / "a.parquet"), "generated": generated(tmp_path / "g.parquet")}
    lens_adversarial(**files, shown=SHOWN, sheet=Sheet(**outputs))
    texts = drawn()
    assert {"drawn pictures", "generated images", "words at random", "80.0"} <= set(texts)
    numbers = pd.read_csv(outputs["csv"]).set_index(["of", "way"])
    row = numbers.loc["generated images", "neurons"]
    np.testing.assert_allclose(row[["success", "low", "high"]].astype(float), wilson(16, 20), rtol=1e-5)
    assert row["pairs"] == 2 and row["pictures"] == 20
    assert numbers.loc["drawn pictures", "nothing"]["low"] == 0
    caption = outputs["caption"].read_text()
    assert (
        "**holds** against words at random (6" in caption
        and "**undecided** against words at random (80%" in caption
    )
    assert "12 pairs of classes, 240 pictures of each kind" in caption


@pytest.mark.parametrize("name", ["attacks", "generated"])
def test_one_of_both_is_enough(tmp_path: Path, outputs: Any, drawn: Any, name: str) -> None:
    file = {"attacks": attacks, "generated": generated}[name](tmp_path / "x.parquet")
    lens_adversarial(**{name: file}, shown=SHOWN, sheet=Sheet(**outputs))
    titles = {"attacks": "drawn pictures", "generated": "generated images"}
    assert titles[name] in drawn() and len(set(titles.values()) & set(drawn())) == 1


def test_a_bar_without_numbers_says_so() -> None:
    canvas = Canvas(3, 2)
    bars = [Bar(LOOKS["rollout"], np.nan, np.nan, np.nan), Bar(LOOKS["exact sum"], 0.5, np.nan, np.nan)]
    axes = draw_panel(canvas, (1.0, 0.1, 1.5), "IoU", bars)
    assert [text.get_text() for text in axes.texts] == [" none", "50.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "attention rolled out",
        "exact sum of y",
    ]
