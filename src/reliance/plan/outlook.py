"""What a run over very many images will ask for: parts, GPU hours, memory, bytes and jobs.

From a folder of images to named components of one encoder that is its own labeller; numbers are those that
the stages ask a cluster for, bytes those of what they write. Cases, probes and figures come on top.
"""

import math
from typing import NamedTuple

from reliance.config.sites import DEFAULT, rule_of
from reliance.plan.sizes import ASSUMED, Size
from reliance.plan.stage import Stage
from reliance.plan.stages import STAGES

PART_MINUTES = 240  # of a part of an embedding, where nobody says how many there are
TEST_SHARE = ASSUMED["test"] / ASSUMED["train"]
UINT16 = 1 << 16
EMBED, ENCODE, GATHER = rule_of("embed_images", DEFAULT), "encode", "gather"
CHAIN = (
    "index_images",
    EMBED,
    "gather_embeddings",
    "train_sae",
    ENCODE,
    "gather_codes",
    "top_samples",
    "component_table",
    "name_stability",
)


class Shape(NamedTuple):
    """Of an encoder and an SAE."""

    width: int = 1024  # d, of what is read
    embedding: int = 768  # p, of the image embedding
    latents: int = 30_000
    active: int = 64
    classes: int = 1000
    gpu: bool = True


class Step(NamedTuple):
    """One stage of a run."""

    stage: str
    jobs: int
    minutes: float  # that the longest of them asks for
    memory: float  # and GB
    gpu_hours: float  # of all, as asked for
    bytes: int  # of what all of them write


class Outlook(NamedTuple):
    """A run."""

    images: int  # to train on; those to test on come on top
    parts: int
    steps: list[Step]

    @property
    def jobs(self) -> int:
        """Of a cluster's queue."""
        return sum(step.jobs for step in self.steps)

    @property
    def gpu_hours(self) -> float:
        """Of all jobs."""
        return sum(step.gpu_hours for step in self.steps)

    @property
    def bytes(self) -> int:
        """Of all that is kept."""
        return sum(step.bytes for step in self.steps)


def row_bytes(shape: Shape) -> dict[str, int]:
    """Bytes that are stored for an image, by the stage that writes them: x, z, valid; values, indices."""
    index = 2 if shape.latents < UINT16 else 4
    return {EMBED: 2 * shape.width + 4 * shape.embedding + 1, ENCODE: shape.active * (2 + index)}


def parts_of(images: int, gpu: bool) -> int:
    """Parts of an embedding that take PART_MINUTES each, as far as that is possible."""
    stage = _stage(EMBED)
    start, whole = (_need(stage, n, images, Shape(gpu=gpu)).minutes for n in (0, images))
    return max(1, math.ceil((whole - start) / (PART_MINUTES - start)))


def outlook(images: int, shape: Shape, parts: int | None = None) -> Outlook:
    """The run over so many images to train on, and TEST_SHARE as many to test on."""
    chosen = parts or parts_of(images, shape.gpu)
    test = math.ceil(images * TEST_SHARE)
    steps = []
    for name in CHAIN:
        stage = _stage(name)
        split = name in (EMBED, ENCODE)
        largest = _need(stage, math.ceil(images / chosen) if split else images, images, shape)
        jobs = 2 * chosen if split else 2 if name.startswith(GATHER) else 1
        minutes = largest.minutes
        if split:
            of_test = _need(stage, math.ceil(test / chosen), images, shape).minutes
            minutes = (largest.minutes + of_test) / 2
        hours = jobs * minutes / 60 if stage.gpu and shape.gpu else 0.0
        stored = (images + test) * row_bytes(shape).get(name, 0)
        steps.append(Step(name, jobs, largest.minutes, largest.memory / 1000, hours, stored))
    return Outlook(images, chosen, steps)


class _Need(NamedTuple):
    minutes: float
    memory: float  # MB


def _need(stage: Stage, read: int, images: int, shape: Shape) -> _Need:
    """What a job asks for that reads so many images of a data set of so many."""
    size = Size(images, math.ceil(images * TEST_SHARE), read, shape.classes, shape.latents, shape.gpu)
    minutes, memory = (need(size) if callable(need) else need for need in (stage.minutes, stage.memory))
    return _Need(minutes, memory)


def _stage(name: str) -> Stage:
    found: Stage = next(stage for stage in STAGES if stage.name == name)
    return found
