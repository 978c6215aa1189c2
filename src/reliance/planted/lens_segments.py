"""Stage `lens_segments`: the class that a picture is taken for, segmented by neurons (V4).

Neurons of all blocks that the lens looks at, by their directions and the text of the class that wins, against
the true mask. Beside the published rule, which leaves signs and sizes out, stand the signed and weighted one,
as many neurons at random, attention of the class token, attention rolled out, and the exact sum over heads
and patches of y itself.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same, read_table, write_table
from reliance.encoders.model import load_model
from reliance.encoders.vision import normaliser
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.lens import maps
from reliance.lens.directions import read_directions
from reliance.lens.record import Recording, recording
from reliance.lens.schema import SEGMENTS
from reliance.lens.segment import STRONGEST, published_heat, random_heat, segmented, signed_heat
from reliance.lens.store import sampled
from reliance.planted import drawn
from reliance.planted.lens_maps import World
from reliance.planted.masks import masks
from reliance.planted.table import TRUTH
from reliance.tails.remaining import pixels_of

MEANS, _BATCH = 256, 32


class Files(NamedTuple):
    """What a segmentation is made from."""

    directions: Sequence[Path]  # one per block
    text: Path
    truth: Path
    weights: Path


def lens_segments(
    *,
    files: Files,
    index: Path,
    world: World,
    reading: Reading,
    scored: Path,
    images: int = 300,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Score segmentations of evenly spaced test images as SEGMENTS.

    Raises RelianceError for directions of other weights.
    """
    torch.set_num_threads(threads)
    clip, prompts = load_model(files.weights, device), read_prompts(files.text)
    read = [read_directions(path) for path in files.directions]
    for path, (_, stamp) in zip(files.directions, read, strict=True):
        check_same("weights", (path, stamp.inputs["weights"]), (files.weights, clip.stamp.id))
    blocks = [int(stamp.params["block"]) for _, stamp in read]
    directions = torch.from_numpy(np.concatenate([found.direction for found, _ in read]))
    text = torch.from_numpy(prompts.vectors)
    truth = masks(drawn.Objects(world.drawn_classes), world.seed, world.test_per_class, test=True)["object"]
    normalise = normaliser(clip.weights.preprocess, clip.device)
    pixels = {name: pixels_of(read_split(index, name), reading, clip, threads) for name in ("train", "test")}
    wanted = maps.wanted(clip, all_rows=True)._replace(neurons=tuple(blocks))
    generator = torch.Generator().manual_seed(0)
    rows: list[pd.DataFrame] = []
    with recording(clip, wanted) as recorder, torch.inference_mode():
        ids = sampled(len(read_split(index, "train").paths), MEANS)
        passes = [recorder.run(pixels["train"](part)) for part in np.array_split(ids, -(-len(ids) // _BATCH))]
        mean = torch.cat([_activations(found, blocks) for found in passes]).float().mean(0)
        ids = sampled(len(truth), images)
        for part in np.array_split(ids, -(-len(ids) // _BATCH)):
            pictures = normalise(pixels["test"](part))
            found = recorder.run_images(pictures)
            won = (torch.nn.functional.normalize(found.z, dim=1) @ text.T).argmax(1)
            p, weight, every = _activations(found, blocks), text[won] @ directions.T, torch.arange(len(part))
            heats = {
                "signed neurons": signed_heat(p, weight, mean),
                "published rule": published_heat(p, weight),
                "random neurons": random_heat(p, STRONGEST, generator),
                "raw attention": maps.raw_attention(found),
                "rollout": maps.rollout(found),
                "exact sum": maps.prompt_maps(clip, found, text).patches()[every, won],
            }
            size = (pictures.shape[-2], pictures.shape[-1])
            for method, heat in heats.items():
                scores = segmented(maps.upsampled(clip, heat, size).cpu().numpy(), truth[part])
                rows.append(pd.DataFrame({"method": method, "image_id": part, **scores._asdict()}))
    table = read_table(files.truth, TRUTH)
    inputs = {f"directions_{i}": stamp.id for i, (_, stamp) in enumerate(read)}
    inputs |= {"text": prompts.stamp.id, "truth": table.stamp.id, "weights": clip.stamp.id}
    params = {"blocks": blocks, "images": images, **world._asdict()}
    write_table(scored, pd.concat(rows, ignore_index=True), SEGMENTS, params, inputs)


def _activations(found: Recording, blocks: Sequence[int]) -> torch.Tensor:
    """p of the neurons of all blocks [n, T, sum of N]."""
    return torch.cat([found.neurons[block] for block in blocks], 2)
