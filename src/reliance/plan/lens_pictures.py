"""Inside the encoder, on pictures: segmentations against masks, and pictures that should mislead."""

import os

from reliance.base.errors import RelianceError
from reliance.config.mistakes import GIVEN
from reliance.plan import paths
from reliance.plan.inside import mapping, passes
from reliance.plan.lens import each_block, lens, to_record
from reliance.plan.paths import Wildcards, at, base_name, beside
from reliance.plan.plan import Plan, pattern, some
from reliance.plan.planted import drawn
from reliance.plan.stage import Paths, Stage, Values

FOLDER, DRAWN = "folder", "drawn"  # where masks come from


def of_things(plan: Plan, name: str) -> bool:
    """Whether a variant's images are drawn things, whose masks and misleading surroundings can be drawn."""
    planted = plan.dataset(plan.variant(name).dataset).planted
    return planted is not None and planted.world == "objects"


def masked(plan: Plan, name: str) -> bool:
    """Whether it is known where things are on a variant's test images."""
    section = plan.variant(name).lens
    return section is not None and (section.masks is not None or of_things(plan, name))


def misled(plan: Plan, name: str) -> bool:
    """Whether there are pictures that should mislead a variant."""
    section = plan.variant(name).lens
    return section is not None and (section.generated is not None or of_things(plan, name))


def check_masked(plan: Plan, name: str) -> None:
    """Raise RelianceError for a variant without masks."""
    lens(plan, name)
    if not masked(plan, name):
        raise _without(name, "masks", "segmentations are held against masks", "a folder of masks")


def check_misled(plan: Plan, name: str) -> None:
    """Raise RelianceError for a variant without pictures that should mislead it."""
    lens(plan, name)
    if not misled(plan, name):
        raise _without(
            name, "generated", "whether words mislead is counted on pictures", "a folder of generated images"
        )


def _without(name: str, key: str, rule: str, what: str) -> RelianceError:
    return RelianceError(
        f"variants.{base_name(name)}.lens.{key}",
        rule,
        found="no such key, and data that is not drawn here",
        allowed=f"{key}: PATH, {what}; or a data set with layout: planted",
        next_step="docs/lens.md says what lies in it",
    )


def folder(plan: Plan, name: str, key: str, what: str) -> str:
    """The folder that a key of the section names. Raises RelianceError if it is not there."""
    found = str(getattr(lens(plan, name), key))
    if not os.path.isdir(found):
        raise RelianceError(
            f"{GIVEN}: variants.{base_name(name)}.lens.{key}",
            f"it must be an existing folder of {what}",
            found=found,
            allowed="a folder, relative to the one snakemake is started in",
            next_step="correct the path, mount the disk it is on, or leave the key out",
        )
    return found


def by_masks(plan: Plan, kind: str) -> str:
    """Pattern of the variants whose masks come from there."""
    variants = plan.config.variants.items()
    kinds = {name: FOLDER if v.lens and v.lens.masks else DRAWN for name, v in variants}
    return pattern(kinds, kind, DRAWN)


def with_directions(plan: Plan, w: Wildcards) -> Paths:
    """Directions of all blocks, and prompts."""
    v = plan.variant(w.variant)
    plan.check_classes(v.dataset)
    return {
        **to_record(plan, w),
        "directions": each_block(plan, w.variant, paths.LENS_DIRECTIONS),
        "text": plan.path(paths.TEXT, w.variant, prompt_set=v.failures.prompt_set),
    }


def to_segment(plan: Plan, w: Wildcards) -> Paths:
    """The same, and what was drawn."""
    check_masked(plan, w.variant)
    return {**with_directions(plan, w), **drawn(plan, plan.variant(w.variant).dataset, "truth")}


def to_segment_masked(plan: Plan, w: Wildcards) -> Paths:
    """The same, the masks as listed, and which images cannot be read."""
    return {
        **with_directions(plan, w),
        "listed": at(paths.LENS_MASKS, variant=w.variant),
        "excluded": plan.path(paths.EXCLUDED, w.variant),
    }


def masks(plan: Plan, w: Wildcards) -> Values:
    """The folder of masks."""
    return {"masks": folder(plan, w.variant, "masks", "masks")}


def listing(plan: Plan, w: Wildcards) -> Values:
    """The same, of how many images, and how these are read."""
    return {
        **masks(plan, w),
        **some(lens(plan, w.variant), "images"),
        **some(plan.config.images, "apply_exif", "max_pixels"),
        "dataset_root": plan.root(plan.variant(w.variant).dataset),
    }


def to_attack(plan: Plan, w: Wildcards) -> Paths:
    """Words of all blocks, and what classes are called."""
    v = plan.variant(w.variant)
    plan.check_classes(v.dataset)
    return {
        "directions": each_block(plan, w.variant, paths.LENS_DIRECTIONS),
        "words": each_block(plan, w.variant, paths.LENS_WORDS),
        "vocabulary": plan.path(paths.TEXT, w.variant, prompt_set="vocabulary"),
        "text": plan.path(paths.TEXT, w.variant, prompt_set=v.failures.prompt_set),
        "classes": plan.path(paths.CLASSES, w.variant),
    }


def to_count(plan: Plan, w: Wildcards) -> Paths:
    """Prompts, what classes are called, and weights."""
    v = plan.variant(w.variant)
    plan.check_classes(v.dataset)
    return {
        "text": plan.path(paths.TEXT, w.variant, prompt_set=v.failures.prompt_set),
        "classes": plan.path(paths.CLASSES, w.variant),
        "weights": plan.path(paths.WEIGHTS, w.variant),
    }


def counting(plan: Plan, w: Wildcards) -> Values:
    """The folder of generated images, in place of that of the data set, and how they are read."""
    if lens(plan, w.variant).generated is None:
        raise _without(w.variant, "generated", "this file is about generated images", "a folder of them")
    root = folder(plan, w.variant, "generated", "generated images")
    return {**passes(plan, w), **some(plan.config.images, "follow_links"), "dataset_root": root}


SEGMENTS = Stage(
    name="lens_segments",
    entry="reliance.planted.lens_segments:lens_segments",
    inputs=to_segment,
    outputs={"scored": paths.LENS_SEGMENTS, "examples": paths.LENS_EXAMPLES},
    settings=mapping,
    memory=6000,
    minutes=20,
    threads=True,
    gpu=True,
    variants=lambda plan: by_masks(plan, DRAWN),
    message="Segmenting pictures by neurons of {wildcards.variant} against what was drawn",
)

STAGES = (
    Stage(
        name="lens_adversarial_words",
        entry="reliance.lens.adversarial:lens_adversarial_words",
        inputs=to_attack,
        outputs={"adversarial": paths.LENS_ADVERSARIAL, "captions": paths.LENS_CAPTIONS},
        beside=beside(paths.LENS_CAPTIONS),
        memory=4000,
        minutes=20,
        message="Words that draw {wildcards.variant} from one class to another",
    ),
    Stage(
        name="lens_attacks",
        entry="reliance.planted.lens_attacks:lens_attacks",
        inputs=lambda plan, w: {**to_record(plan, w), **to_attack(plan, w)},
        outputs={"attacks": paths.LENS_ATTACKS},
        settings=mapping,
        memory=6000,
        minutes=30,
        threads=True,
        gpu=True,
        message="Drawing pictures that should mislead {wildcards.variant}",
    ),
    Stage(
        name="lens_generated",
        entry="reliance.lens.generated:lens_generated",
        inputs=to_count,
        outputs={"scored": paths.LENS_GENERATED},
        settings=counting,
        memory=6000,
        minutes=60,
        threads=True,
        gpu=True,
        message="Counting how often generated images mislead {wildcards.variant}",
    ),
    Stage(
        name="lens_masks",
        entry="reliance.lens.masks:lens_masks",
        inputs=lambda plan, w: {"index": plan.path(paths.INDEX, w.variant)},
        outputs={"listed": paths.LENS_MASKS},
        settings=listing,
        first=True,  # what is wrong with masks is said before what takes long
        variants=lambda plan: by_masks(plan, FOLDER),
        memory=2000,
        minutes=30,
        message="Holding masks against the images of {wildcards.variant}",
    ),
    SEGMENTS,
    SEGMENTS._replace(
        name="lens_segments_of_masks",
        entry="reliance.lens.segments:lens_segments_of_masks",
        inputs=to_segment_masked,
        settings=lambda plan, w: {**masks(plan, w), **passes(plan, w)},
        memory=8000,
        minutes=120,
        variants=lambda plan: by_masks(plan, FOLDER),
        message="Segmenting pictures by neurons of {wildcards.variant} against masks",
    ),
)
