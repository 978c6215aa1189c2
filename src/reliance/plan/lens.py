"""Inside the encoder: effects of MLP neurons through later attention, their directions and words."""

from reliance.base.errors import RelianceError
from reliance.config.lens import LensSettings
from reliance.plan import paths
from reliance.plan.naming import labels
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.planted import drawn
from reliance.plan.sizes import Size
from reliance.plan.stage import Paths, Stage, Values, in_blocks


def lens(plan: Plan, variant: str) -> LensSettings:
    """The section `lens` of a variant. Raises RelianceError if it has none."""
    found = plan.variant(variant).lens
    if found is None:
        raise RelianceError(
            f"results/{variant}/lens",
            "a variant is looked into if its section lens says at which blocks",
            found="no such section",
            allowed="a variant with  lens: {layers: [-2]}",
            next_step="give the variant such a section: config/config.yaml explains its keys; "
            "or ask for results/demo_deep/lens/report.html",
        )
    return found


def each_block(plan: Plan, variant: str, pattern: str) -> list[str]:
    """A file of every block."""
    return [at(pattern, variant=variant, block=str(block)) for block in lens(plan, variant).layers]


def to_record(plan: Plan, w: Wildcards) -> Paths:
    """Which images, and which weights."""
    lens(plan, w.variant)
    return {
        name: plan.path(path, w.variant)
        for name, path in (("index", paths.INDEX), ("weights", paths.WEIGHTS))
    }


def recorded(plan: Plan, w: Wildcards) -> Values:
    """How images go through the model, and what of it is kept."""
    section = lens(plan, w.variant)
    return {
        "block": int(w.block),
        "split": w.split or "train",
        "part_index": int(w.part),
        "parts": int(w.parts),
        **some(section, "images", "dtype", "ln_mean"),
        **some(plan.config.images, "apply_exif", "max_pixels"),
        **some(plan.config.embedding, "precision", "batch_size", "jpeg_decoding"),
        **plan.compute,
        "dataset_root": plan.root(plan.variant(w.variant).dataset),
    }


def parts(plan: Plan, w: Wildcards, pattern: str, split: str) -> list[str]:
    """Files of all parts of a split."""
    count = str(plan.parts(plan.variant(w.variant).dataset))
    names = {"variant": w.variant, "block": w.block, "split": split, "parts": count}
    return [at(pattern, **names, part=str(part)) for part in range(int(count))]


def to_direct(plan: Plan, w: Wildcards) -> Paths:
    """Coefficients of the training images, or of each neuron's strongest of them."""
    section = lens(plan, w.variant)
    stored = [at(paths.LENS_COEFFICIENTS, variant=w.variant, block=w.block, split="train")]
    kept = stored if section.keep == "all" else parts(plan, w, paths.LENS_STRONGEST, "train")
    return {"coefficients": kept, "weights": plan.path(paths.WEIGHTS, w.variant)}


def of_block(w: Wildcards, pattern: str) -> str:
    """A file of the block."""
    return at(pattern, variant=w.variant, block=w.block)


def to_word(plan: Plan, w: Wildcards) -> Paths:
    """Directions, and the encoder's own view of names."""
    lens(plan, w.variant)
    vocabulary = plan.path(paths.TEXT, w.variant, prompt_set="vocabulary")
    return {"directions": of_block(w, paths.LENS_DIRECTIONS), "vocabulary": vocabulary}


def to_describe(plan: Plan, w: Wildcards) -> Paths:
    """The same, and the labeller's view of the training images."""
    names = labels(plan, w.variant, "train")
    files = {"tops": paths.LENS_TOPS, "words": paths.LENS_WORDS}
    return {
        **to_word(plan, w),
        **{name: of_block(w, pattern) for name, pattern in files.items()},
        "labels": names["labels"],
        "names": names["vocabulary"],
    }


def to_judge(plan: Plan, w: Wildcards) -> Paths:
    """Effects on the test images, and the prompts of the classes."""
    v = plan.variant(w.variant)
    plan.check_classes(v.dataset)
    return {
        **to_word(plan, w),
        **to_record(plan, w),
        "words": of_block(w, paths.LENS_WORDS),
        "coefficients": at(paths.LENS_COEFFICIENTS, variant=w.variant, block=w.block, split="test"),
        "text": plan.path(paths.TEXT, w.variant, prompt_set=v.failures.prompt_set),
    }


def judging(plan: Plan, w: Wildcards) -> Values:
    """How many words, and how images go through the model again."""
    return {
        "counts": lens(plan, w.variant).words,
        **some(plan.config.images, "apply_exif", "max_pixels"),
        **some(plan.config.embedding, "jpeg_decoding"),
        **plan.compute,
        "dataset_root": plan.root(plan.variant(w.variant).dataset),
    }


def to_score(plan: Plan, w: Wildcards) -> Paths:
    """Neurons as described, and what was drawn."""
    v = plan.variant(w.variant)
    lens(plan, w.variant)
    plan.planted(v.dataset)
    files = {"neurons": paths.LENS_NEURONS, "tops": paths.LENS_TOPS}
    return {
        **{name: of_block(w, pattern) for name, pattern in files.items()},
        **drawn(plan, v.dataset, "truth"),
        "classes": plan.path(paths.CLASSES, w.variant),
    }


def to_attribute(plan: Plan, w: Wildcards) -> Paths:
    """Directions and words of all blocks, and effects on the test images."""
    stored = [
        at(paths.LENS_COEFFICIENTS, variant=w.variant, block=str(block), split="test")
        for block in lens(plan, w.variant).layers
    ]
    return {
        "directions": each_block(plan, w.variant, paths.LENS_DIRECTIONS),
        "words": each_block(plan, w.variant, paths.LENS_WORDS),
        "coefficients": stored,
        "vocabulary": plan.path(paths.TEXT, w.variant, prompt_set="vocabulary"),
        "weights": plan.path(paths.WEIGHTS, w.variant),
    }


def to_score_attributes(plan: Plan, w: Wildcards) -> Paths:
    """Words of test images, and what was drawn."""
    v = plan.variant(w.variant)
    return {
        "attributes": at(paths.LENS_ATTRIBUTES, variant=w.variant),
        **drawn(plan, v.dataset, "truth"),
        "classes": plan.path(paths.CLASSES, w.variant),
    }


def minutes(size: Size) -> float:
    """As an embedding job."""
    return 15 + size.images / (800 if size.gpu else 100)


PART = Stage(
    name="lens_part",
    entry="reliance.lens.store:lens_part",
    inputs=to_record,
    outputs={"part": paths.LENS_PART},
    constraints={"split": "train|test"},
    folders=("part",),
    settings=recorded,
    untracked=lambda plan, w: some(plan.config.embedding, "workers"),
    resumes=True,
    memory=16000,
    minutes=minutes,
    threads=True,
    gpu=True,
    cpus=lambda plan: plan.config.compute.threads + plan.config.embedding.workers,
    message="Effects of the neurons of block {wildcards.block} of {wildcards.variant}, part {wildcards.part}",
)

STAGES = (
    PART,
    PART._replace(
        name="lens_strongest",
        entry="reliance.lens.store:lens_strongest",
        outputs={"strongest": paths.LENS_STRONGEST},
        folders=(),
        constraints={},
        settings=lambda plan, w: {**recorded(plan, w), "kept": lens(plan, w.variant).strongest},
        resumes=False,
        message="The strongest images of the neurons of block {wildcards.block} of {wildcards.variant}",
    ),
    Stage(
        name="gather_lens",
        entry="reliance.lens.store:gather_lens",
        inputs=lambda plan, w: {"parts": parts(plan, w, paths.LENS_PART, w.split)},
        outputs={"manifest": paths.LENS_COEFFICIENTS},
        constraints={"split": "train|test"},
        minutes=5,
        message="Gathering effects of block {wildcards.block} of {wildcards.variant} on {wildcards.split}",
    ),
    Stage(
        name="lens_directions",
        entry="reliance.lens.directions:lens_directions",
        inputs=to_direct,
        outputs={"directions": paths.LENS_DIRECTIONS, "tops": paths.LENS_TOPS},
        settings=lambda plan, w: some(lens(plan, w.variant), "strongest", "significant"),
        memory=16000,
        minutes=60,
        message="Directions of the neurons of block {wildcards.block} of {wildcards.variant}",
    ),
    Stage(
        name="lens_decompose",
        entry="reliance.lens.words:lens_words",
        inputs=to_word,
        outputs={"words": paths.LENS_WORDS},
        settings=lambda plan, w: {"counts": lens(plan, w.variant).words},
        memory=8000,
        minutes=30,
        message="Words of the neurons of block {wildcards.block} of {wildcards.variant}",
    ),
    Stage(
        name="lens_neurons",
        entry="reliance.lens.neurons:lens_neurons",
        inputs=to_describe,
        outputs={"neurons": paths.LENS_NEURONS},
        settings=lambda plan, w: some(plan.config.naming, "top_n"),
        untracked=in_blocks,
        memory=8000,
        minutes=20,
        message="Describing the neurons of block {wildcards.block} of {wildcards.variant}",
    ),
    Stage(
        name="lens_accuracy",
        entry="reliance.lens.evaluate:lens_accuracy",
        inputs=to_judge,
        outputs={"accuracy": paths.LENS_ACCURACY},
        settings=judging,
        memory=16000,
        minutes=60,
        threads=True,
        gpu=True,
        message="Accuracy of {wildcards.variant} without effects of the neurons of block {wildcards.block}",
    ),
    Stage(
        name="lens_truth",
        entry="reliance.planted.lens:lens_truth",
        inputs=to_score,
        outputs={"scored": paths.LENS_TRUTH},
        settings=lambda plan, w: some(plan.config.naming, "top_n"),
        minutes=5,
        message="Holding neurons of block {wildcards.block} of {wildcards.variant} against what was drawn",
    ),
    Stage(
        name="lens_attributes",
        entry="reliance.lens.attributes:lens_attributes",
        inputs=to_attribute,
        outputs={"attributes": paths.LENS_ATTRIBUTES},
        memory=16000,
        minutes=30,
        message="Words of the test images of {wildcards.variant}",
    ),
    Stage(
        name="lens_attribute_truth",
        entry="reliance.planted.lens_attributes:lens_attribute_truth",
        inputs=to_score_attributes,
        outputs={"scored": paths.LENS_ATTRIBUTE_TRUTH},
        minutes=5,
        message="Holding words of images of {wildcards.variant} against what was drawn",
    ),
)
