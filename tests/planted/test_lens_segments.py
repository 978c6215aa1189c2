"""Segmentations of drawn pictures by a small random model, and the same with the masks in a folder."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from reliance.base.artifacts import read_table, write_table
from reliance.encoders.model import load_model
from reliance.encoders.text import TEXT
from reliance.encoders.weights import resolve_weights
from reliance.images.decode import Reading
from reliance.images.index import index_images
from reliance.images.tables import EXCLUDED, read_split
from reliance.lens.directions import Directions, save_directions
from reliance.lens.examples import read_examples
from reliance.lens.masks import MASKS, lens_masks, mask_of
from reliance.lens.schema import CURVE, SEGMENTS
from reliance.lens.segment import scaled, segmented
from reliance.lens.segments import EXAMPLES, Files, lens_segments_of_masks
from reliance.planted import drawn, tiny_clip
from reliance.planted.dataset import render_planted
from reliance.planted.lens_maps import World
from reliance.planted.lens_segments import lens_segments
from reliance.planted.masks import masks

WORLD = World(seed=3, drawn_classes=8, train_per_class=3, test_per_class=4)
BLOCKS = (0, 1)


class Made(NamedTuple):
    files: Files
    index: Path
    truth: Path
    reading: Reading


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A drawn data set, an untrained model with directions at random, and prompts at random."""
    torch.set_num_threads(1)
    folder, rng = tmp_path_factory.mktemp("segments"), np.random.default_rng(0)
    truth, root = folder / "truth.parquet", folder / "images"
    names = {name: folder / name for name in ("names", "plants")}
    render_planted(images=root, truth=truth, **names, seed=3, train_per_class=3, test_per_class=4, classes=8)
    index = folder / "index.parquet"
    index_images(index=index, classes=folder / "classes.parquet", root=str(root), layout="planted")
    metadata = {
        "architecture": json.dumps(tiny_clip.architecture(3)),
        "preprocess": json.dumps(tiny_clip.PREPROCESS),
    }
    state = {k: v.contiguous() for k, v in tiny_clip.build(0, 3).state_dict().items()}
    save_file(state, folder / "t.safetensors", metadata)
    weights = folder / "weights.json"
    resolve_weights(weights=weights, encoder="tiny", checkpoint=folder / "t.safetensors")
    stamp = load_model(weights).stamp.id
    n, p = 4 * 96, 64
    directions = []
    for block in BLOCKS:
        r = rng.normal(size=(n, p)).astype(np.float32)
        r /= np.linalg.norm(r, axis=1, keepdims=True)
        empty, wide = np.zeros(n, np.float32), np.zeros((n, 1), np.float32)
        directions.append(folder / f"{block}.safetensors")
        found = Directions(wide, empty, r, empty, wide, np.ones(1, np.float32), wide, empty)
        save_directions(directions[-1], found, {"block": block}, {"weights": stamp})
    vectors = rng.normal(size=(8, p)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    text = pd.DataFrame({"prompt_id": range(8), "class_id": range(8), "prompts": [["a"]] * 8})
    write_table(folder / "text.parquet", text.assign(embedding=list(vectors)), TEXT, {}, {"weights": stamp})
    return Made(Files(directions, folder / "text.parquet", weights), index, truth, Reading(str(root)))


def of_drawn(made: Made, folder: Path, images: int = 20) -> tuple[Path, Path]:
    scored, examples = folder / "drawn.parquet", folder / "drawn.safetensors"
    lens_segments(
        files=made.files,
        truth=made.truth,
        index=made.index,
        world=WORLD,
        reading=made.reading,
        scored=scored,
        examples=examples,
        images=images,
    )
    return scored, examples


def test_every_method_is_scored_on_every_picture(made: Made, tmp_path: Path) -> None:
    scored, examples = of_drawn(made, tmp_path)
    frame = read_table(scored, SEGMENTS).frame
    assert (frame.groupby("method")["image_id"].nunique() == 20).all() and frame["method"].nunique() == 6
    truth = masks(drawn.Objects(8), 3, 4, test=True)["object"]
    known = frame[frame["iou"].notna()]
    np.testing.assert_allclose(known["area"], truth[known["image_id"]].mean((1, 2)), rtol=1e-6)
    assert known[list(CURVE)].notna().all(axis=None)
    last = known[CURVE[-1]]
    assert (last >= known["area"] - 1e-6).all(), "no order is worse than all of the picture at full recall"
    found, stamp = read_examples(examples)
    methods = stamp.params["methods"]
    assert found.heat.shape == (EXAMPLES, 6, 48, 48) and found.pixels.shape == (EXAMPLES, 48, 48, 3)
    np.testing.assert_array_equal(found.mask, truth[found.image_id])
    paths = read_split(made.index, "test").paths[found.image_id]
    for pixels, path in zip(found.pixels, paths, strict=True):
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(f"{made.reading.dataset_root}/{path}")))
    iou = frame.pivot(index="image_id", columns="method", values="iou").loc[found.image_id]
    for place, method in enumerate(methods):
        again = segmented(scaled(found.heat[:, place].astype(float)), found.mask.astype(bool)).iou
        np.testing.assert_allclose(again, iou[method], atol=0.02)  # heat was rounded to 256 levels


def test_a_folder_of_the_same_masks_gives_the_same_numbers(made: Made, tmp_path: Path) -> None:
    truth = masks(drawn.Objects(8), 3, 4, test=True)["object"]
    whole = np.flatnonzero(truth.any((1, 2)))
    folder, split = tmp_path / "masks", read_split(made.index, "test")
    for path, mask in zip(split.paths, truth, strict=True):
        to = folder / mask_of(str(path))
        to.parent.mkdir(parents=True, exist_ok=True)
        shown = mask if mask.any() else np.eye(48, dtype=bool)  # an empty mask is refused
        Image.fromarray(shown.astype(np.uint8) * 255).save(to)
    listed, excluded = tmp_path / "masks.parquet", tmp_path / "excluded.parquet"
    rows = pd.DataFrame([], columns=[name for name, _ in EXCLUDED.columns])
    write_table(excluded, rows, EXCLUDED, {}, {"index": split.stamp.id})
    lens_masks(
        index=made.index, masks=str(folder), listed=listed, reading=made.reading, images=len(split.paths)
    )
    scored, examples = tmp_path / "folder.parquet", tmp_path / "folder.safetensors"
    lens_segments_of_masks(
        files=made.files,
        index=made.index,
        listed=listed,
        excluded=excluded,
        masks=str(folder),
        reading=made.reading,
        scored=scored,
        examples=examples,
    )
    own = read_table(scored, SEGMENTS)
    other = read_table(of_drawn(made, tmp_path, len(truth))[0], SEGMENTS)
    assert own.stamp.inputs["masks"] == read_table(listed, MASKS).stamp.id
    frames = [t.frame[t.frame["image_id"].isin(whole)].reset_index(drop=True) for t in (own, other)]
    pd.testing.assert_frame_equal(*frames)
