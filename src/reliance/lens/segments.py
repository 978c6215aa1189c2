"""Stage `lens_segments_of_masks`: the class that a picture is taken for, segmented by neurons (V4).

Neurons of all blocks that the lens looks at, by their directions and the text of the class that wins, against
a mask. Beside the published rule, which leaves signs and sizes out, stand the signed and weighted one, as
many neurons at random, attention of the class token, attention rolled out, and the exact sum over heads and
patches of y itself. What is drawn here has masks of its own: `planted.lens_segments`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.telling import advance, tell
from reliance.encoders.model import Clip, load_model, read_weights
from reliance.encoders.vision import normaliser
from reliance.images.decode import Reading
from reliance.images.tables import EXCLUDED, read_split
from reliance.lens import maps
from reliance.lens.directions import read_directions
from reliance.lens.examples import Examples, write_examples
from reliance.lens.masks import KEY, MASKS, masks_seen
from reliance.lens.record import Recording, recording
from reliance.lens.schema import CURVE, SEGMENTS
from reliance.lens.segment import (
    STRONGEST,
    Scores,
    published_heat,
    random_heat,
    scaled,
    segmented,
    signed_heat,
)
from reliance.lens.store import sampled
from reliance.tails.remaining import pixels_of

log = logging.getLogger(__name__)
MEANS, EXAMPLES, _BATCH = 256, 6, 32
Pixels = Callable[[np.ndarray], torch.Tensor]  # of rows of a split, see `remaining.pixels_of`


class Files(NamedTuple):
    """What a segmentation is made from."""

    directions: Sequence[Path]  # one per block
    text: Path  # prompts of the classes
    weights: Path


class Masked(NamedTuple):
    """What is segmented."""

    ids: np.ndarray  # int64 [n], rows of the split test
    masks: Callable[[np.ndarray], np.ndarray]  # of some of these, bool [k, h, w] as the encoder sees them
    train: np.ndarray  # int64, rows of the split train whose activations give the means


class Found(NamedTuple):
    """A segmentation before it is written."""

    scores: pd.DataFrame  # of SEGMENTS
    examples: Examples
    methods: list[str]  # of the examples' heat, in its order
    params: dict[str, Any]
    inputs: dict[str, str]

    def write(self, scored: Path, examples: Path, params: dict[str, Any], inputs: dict[str, str]) -> None:
        """Write both, with what the masks come from beside what the heat comes from."""
        both, ids = {**self.params, **params}, {**self.inputs, **inputs}
        write_table(scored, self.scores, SEGMENTS, both, ids)
        write_examples(examples, self.examples, {**both, "methods": self.methods}, ids)


def lens_segments_of_masks(
    *,
    files: Files,
    index: Path,
    listed: Path,
    excluded: Path,
    masks: str,
    reading: Reading,
    scored: Path,
    examples: Path,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Score segmentations of the images whose masks are listed, as SEGMENTS, and keep some as Examples.

    listed : MASKS of the folder `masks`. excluded : EXCLUDED, images that cannot be read.
    Raises RelianceError for directions of other weights, another index, or masks that changed.
    """
    test, train = (read_split(index, name) for name in ("test", "train"))
    table, bad = read_table(listed, MASKS), read_table(excluded, EXCLUDED)
    for path, stamp in ((listed, table.stamp), (excluded, bad.stamp)):
        check_same("index", (path, stamp.inputs["index"]), (index, test.stamp.id))
    preprocess = read_weights(files.weights)[0].preprocess
    unread = bad.frame.loc[bad.frame["split"] == "train", "image_id"]
    readable = np.setdiff1d(np.arange(len(train.paths)), unread)
    masked = Masked(
        table.frame["image_id"].to_numpy(),
        masks_seen(table.frame, Path(masks), preprocess),
        readable[sampled(len(readable), MEANS)],
    )
    found = segmentation(files, index, masked, reading, threads, device)
    found.write(scored, examples, {"images": len(masked.ids)}, {"masks": table.stamp.id})


class Asked(NamedTuple):
    """What neurons are held against."""

    blocks: list[int]
    directions: torch.Tensor  # r [N of all blocks, p]
    text: torch.Tensor  # of the classes [C, p]


def segmentation(
    files: Files, index: Path, masked: Masked, reading: Reading, threads: int, device: str
) -> Found:
    """Segment pictures by every method.

    Raises RelianceError for directions of other weights, or if no mask is both inside and outside of what the
    encoder sees.
    """
    torch.set_num_threads(threads)
    clip, prompts = load_model(files.weights, device), read_prompts(files.text)
    read = [read_directions(path) for path in files.directions]
    for path, (_, stamp) in zip(files.directions, read, strict=True):
        check_same("weights", (path, stamp.inputs["weights"]), (files.weights, clip.stamp.id))
    asked = Asked(
        [int(stamp.params["block"]) for _, stamp in read],
        torch.from_numpy(np.concatenate([found.direction for found, _ in read])).to(clip.device),
        torch.from_numpy(prompts.vectors).to(clip.device),
    )
    pixels = {name: pixels_of(read_split(index, name), reading, clip, threads) for name in ("train", "test")}
    rows, kept, winners = list[pd.DataFrame](), list[dict[str, torch.Tensor]](), list[np.ndarray]()
    for part, (heats, won) in _passed(clip, asked, masked, pixels):
        truth = masked.masks(part)
        for method, heat in heats.items():
            values = maps.upsampled(clip, heat, truth.shape[1:]).numpy()
            rows.append(_rows(method, part, segmented(values, truth)))
        kept.append(heats)
        winners.append(prompts.class_ids[won])
        advance(sum(map(len, winners)), len(masked.ids), "pictures")
    frame = pd.concat(rows, ignore_index=True)
    whole = {method: torch.cat([own[method] for own in kept]) for method in kept[0]}
    shown = _chosen(frame, masked.ids)
    seen = pixels["test"](masked.ids[shown]).permute(0, 2, 3, 1).numpy()
    drawn = [scaled(maps.upsampled(clip, own[shown], seen.shape[1:3]).numpy()) for own in whole.values()]
    examples = Examples(
        masked.ids[shown],
        np.concatenate(winners)[shown],
        seen,
        masked.masks(masked.ids[shown]).astype(np.uint8),
        np.rint(255 * np.stack(drawn, 1)).astype(np.uint8),
    )
    inputs = {f"directions_{i}": stamp.id for i, (_, stamp) in enumerate(read)}
    inputs |= {"text": prompts.stamp.id, "weights": clip.stamp.id}
    return Found(frame, examples, list(whole), {"blocks": asked.blocks}, inputs)


def _passed(
    clip: Clip, asked: Asked, masked: Masked, pixels: Mapping[str, Pixels]
) -> Iterator[tuple[np.ndarray, tuple[dict[str, torch.Tensor], np.ndarray]]]:
    """Some pictures [k], with the heat of their patches [k, T - 1] by method, and which class wins [k]."""
    normalise = normaliser(clip.weights.preprocess, clip.device)
    wanted = maps.wanted(clip, all_rows=True)._replace(neurons=tuple(asked.blocks))
    generator = torch.Generator().manual_seed(0)
    with recording(clip, wanted) as recorder, torch.inference_mode():
        parts = np.array_split(masked.train, -(-len(masked.train) // _BATCH))
        mean = torch.zeros((), dtype=torch.float64, device=clip.device)
        for part in parts:
            mean = mean + _activations(recorder.run(pixels["train"](part)), asked).double().sum(0)
        mean = (mean / len(masked.train)).float()
        for part in np.array_split(masked.ids, -(-len(masked.ids) // _BATCH)):
            found = recorder.run_images(normalise(pixels["test"](part)))
            won = (torch.nn.functional.normalize(found.z, dim=1) @ asked.text.T).argmax(1)
            p, weight = _activations(found, asked), asked.text[won] @ asked.directions.T
            classes, place = torch.unique(won, return_inverse=True)  # maps of all classes would not fit
            own = maps.prompt_maps(clip, found, asked.text[classes]).patches()
            heats = {
                "signed neurons": signed_heat(p, weight, mean),
                "published rule": published_heat(p, weight),
                "random neurons": random_heat(p, STRONGEST, generator),
                "raw attention": maps.raw_attention(found),
                "rollout": maps.rollout(found),
                "exact sum": own[torch.arange(len(part), device=won.device), place],
            }
            yield part, ({name: heat.cpu() for name, heat in heats.items()}, won.cpu().numpy())


def _activations(found: Recording, asked: Asked) -> torch.Tensor:
    """p of the neurons of all blocks [n, T, sum of N]."""
    return torch.cat([found.neurons[block] for block in asked.blocks], 2)


def _rows(method: str, image_id: np.ndarray, scores: Scores) -> pd.DataFrame:
    """Scores as SEGMENTS."""
    own = {name: values for name, values in scores._asdict().items() if name != "curve"}
    columns = {"method": method, "image_id": image_id, **own}
    return pd.DataFrame({**columns, **dict(zip(CURVE, scores.curve.T, strict=True))})


def _chosen(frame: pd.DataFrame, ids: np.ndarray) -> np.ndarray:
    """Places of EXAMPLES evenly spaced pictures among those whose masks can be scored.

    Says how many cannot. Raises RelianceError if none can.
    """
    first = frame[frame["method"] == frame["method"].iloc[0]]
    known = np.flatnonzero(first["iou"].notna().to_numpy())
    if not len(known):
        raise RelianceError(
            KEY,
            "a mask is scored where some of what the encoder sees of a picture is inside, and some outside",
            found=f"no such mask among {len(ids)}",
            allowed="masks of things that are neither outside the middle of the pictures nor all of it",
            next_step="look at the masks, and whether they belong to these images",
        )
    if unknown := len(ids) - len(known):
        said = "%d of %d pictures are, as the encoder sees them, all in or all out of their mask: not scored"
        tell(log, said, unknown, len(ids))
    chosen: np.ndarray = known[sampled(len(known), EXAMPLES)]
    return chosen
