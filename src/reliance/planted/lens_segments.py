"""Stage `lens_segments`: segmentations by neurons against what was drawn (V4, `lens.segments`)."""

from pathlib import Path

import numpy as np

from reliance.base.artifacts import read_table
from reliance.images.decode import Reading
from reliance.images.tables import read_split
from reliance.lens.segments import MEANS, Files, Masked, segmentation
from reliance.lens.store import sampled
from reliance.planted import drawn
from reliance.planted.lens_maps import World
from reliance.planted.masks import masks
from reliance.planted.table import TRUTH


def lens_segments(
    *,
    files: Files,
    truth: Path,
    index: Path,
    world: World,
    reading: Reading,
    scored: Path,
    examples: Path,
    images: int = 300,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Score segmentations of evenly spaced test images as SEGMENTS, and keep some as Examples.

    Raises RelianceError for directions of other weights.
    """
    things = masks(drawn.Objects(world.drawn_classes), world.seed, world.test_per_class, test=True)["object"]
    table = read_table(truth, TRUTH)

    def seen(ids: np.ndarray) -> np.ndarray:
        found: np.ndarray = things[ids]
        return found

    train = sampled(len(read_split(index, "train").paths), MEANS)
    masked = Masked(sampled(len(things), images), seen, train)
    found = segmentation(files, index, masked, reading, threads, device)
    found.write(scored, examples, {"images": images, **world._asdict()}, {"truth": table.stamp.id})
