"""The page of the lens: segmentations and generated images as rows, and the page with and without them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reliance.base.artifacts import write_table
from reliance.base.means import wilson
from reliance.images.index import index_images
from reliance.lens.adversarial import ADVERSARIAL
from reliance.lens.directions import TOPS
from reliance.lens.evaluate import ACCURACY
from reliance.lens.neurons import NEURONS
from reliance.lens.schema import CURVE, GENERATED, SEGMENTS
from reliance.report.lens import About, Sheets, Tables, generated_rows, lens_report, pair_rows, segment_rows

METHODS = ("signed neurons", "raw attention", "rollout", "random neurons")


def generated() -> pd.DataFrame:
    rows = [
        (way, i, i + 1, f"shown {i}", f"target {i}", 10, wins, *wilson(wins, 10), 0.01 * wins)
        for way, counts in {"random": (1, 0), "neurons": (7, 9)}.items()
        for i, wins in enumerate(counts)
    ]
    return pd.DataFrame(rows, columns=[name for name, _ in GENERATED.columns])


def segments() -> pd.DataFrame:
    frame = pd.DataFrame([(m, i) for m in METHODS for i in range(5)], columns=["method", "image_id"])
    values = {
        name: np.linspace(0.2, 0.6, len(frame)) for name in ("accuracy", "iou", "precision", "area", *CURVE)
    }
    return frame.assign(**values)


def test_generated_images_are_counted_in_all_and_by_pair() -> None:
    whole = generated_rows(generated())
    assert whole.rows[0] == ["words by what neurons write", "80% [58%, 92%]", "+0.080", "20", "2"]
    assert [row[0] for row in whole.rows] == ["words by what neurons write", "words at random"]
    pairs = pair_rows(generated(), most=3)
    assert pairs.rows[0][:2] == ["shown 0", "target 0"] and pairs.left_out == 1


def test_pictures_without_a_score_do_not_count() -> None:
    frame = segments()
    frame.loc[0, ["accuracy", "iou", "precision"]] = np.nan
    rows = segment_rows(frame)
    assert [row[0] for row in rows] == list(METHODS) and rows[0][-1] == "4" and rows[1][-1] == "5"


@pytest.fixture
def page(tmp_path: Path) -> Any:
    """Writes the page of a block of two neurons with these tables beside; its text."""
    for split in ("train", "test"):
        (tmp_path / "images" / split / "a").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / split / "a/0.png")
    index, root = tmp_path / "index.parquet", tmp_path / "images"
    index_images(index=index, classes=tmp_path / "c.parquet", root=str(root), layout="folder")
    accuracy = pd.DataFrame({"method": ["baseline", "second_order"], "accuracy": [0.9, 0.5]})
    accuracy = accuracy.assign(value=np.nan, images=100, significant=np.nan)
    neurons = pd.DataFrame(
        {"component": [0, 1], "norm": [1.0, 2], "words": "a +1.00", "word": "a", "label": "b"}
    )
    neurons = neurons.assign(explained=0.5, head=0, spread=0.1, alignment=0.2, runner_up="c", clarity=0.3)
    tops = pd.DataFrame({"component": [0, 1], "rank": 0, "image_id": 0, "norm": 1.0, "activation": 1.0})
    own = {"accuracies": (ACCURACY, accuracy), "neurons": (NEURONS, neurons), "tops": (TOPS, tops)}

    def write(**more: Any) -> str:
        paths: dict[str, Any] = {}
        for name, (spec, frame) in {**own, **more}.items():
            paths[name] = tmp_path / f"{name}.parquet"
            write_table(paths[name], frame, spec, {}, {})
        tables = Tables(**{name: [path] if name in own else path for name, path in paths.items()})
        lens_report(
            tables=tables,
            sheets=Sheets([], [], []),
            index=index,
            about=About("mine", [0], {"layers": [0]}),
            dataset_root=str(root),
            html=tmp_path / "report.html",
        )
        return (tmp_path / "report.html").read_text()

    return write


def test_the_page_has_what_there_is(page: Any) -> None:
    bare = page()
    assert "Segmentation by neurons" not in bare and "Generated images" not in bare
    words = pd.DataFrame([(0, 1, "shown 0", "target 0", 0, "sea", 1.0, "a photo of a shown 0, with sea")])
    words.columns = [name for name, _ in ADVERSARIAL.columns]
    found = page(
        segments=(SEGMENTS, segments()), generated=(GENERATED, generated()), adversarial=(ADVERSARIAL, words)
    )
    assert "Segmentation by neurons, against masks" in found
    assert "Generated images that should mislead" in found and "80% [58%, 92%]" in found
    assert "captions.csv" in found and "of the generated images" in found
