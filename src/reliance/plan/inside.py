"""Inside the encoder, further: maps, what writes latents, and what carries failure cases.

Segmentations and misleading pictures are in `lens_pictures`.
"""

from reliance.plan import paths
from reliance.plan.lens import judging, lens, to_record
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.planted import drawn
from reliance.plan.stage import Paths, Stage, Values


def to_map(plan: Plan, w: Wildcards) -> Paths:
    """Latents and prompts that maps are of, and what was drawn."""
    v = plan.variant(w.variant)
    lens(plan, w.variant)
    plan.sae(w.variant)
    files = {"sae": paths.SAE, "components": paths.COMPONENTS, "top_samples": paths.TOP_SAMPLES}
    return {
        **to_record(plan, w),
        **{name: at(pattern, variant=w.variant) for name, pattern in files.items()},
        **drawn(plan, v.dataset, "truth"),
        "classes": plan.path(paths.CLASSES, w.variant),
        "text": plan.path(paths.TEXT, w.variant, prompt_set=v.failures.prompt_set),
    }


def to_bridge(plan: Plan, w: Wildcards) -> Paths:
    """Latents, and the encoder's own view of names."""
    plan.sae(w.variant)
    return {
        **to_record(plan, w),
        "sae": at(paths.SAE, variant=w.variant),
        "top_samples": at(paths.TOP_SAMPLES, variant=w.variant),
        "vocabulary": plan.path(paths.TEXT, w.variant, prompt_set="vocabulary"),
    }


def to_ablate(plan: Plan, w: Wildcards) -> Paths:
    """Failure cases of the variant, and the prompts that they were mined for."""
    v = plan.variant(w.variant)
    plan.check_classes(v.dataset)
    mined = plan.variant(v.failures_from)
    return {
        **to_record(plan, w),
        "failures": at(paths.FAILURES, variant=v.failures_from),
        "failure_samples": at(paths.FAILURE_SAMPLES, variant=v.failures_from),
        "text": plan.path(paths.TEXT, w.variant, prompt_set=mined.failures.prompt_set),
    }


def passes(plan: Plan, w: Wildcards) -> Values:
    """How images go through the model again."""
    return {name: value for name, value in judging(plan, w).items() if name != "counts"}


def mapping(plan: Plan, w: Wildcards) -> Values:
    """What was drawn, and how images go through the model again."""
    planted = plan.planted(plan.variant(w.variant).dataset)
    shape = some(planted, "seed", "train_per_class", "test_per_class")
    return {**shape, "drawn_classes": planted.classes, **passes(plan, w)}


STAGES = (
    Stage(
        name="lens_maps",
        entry="reliance.planted.lens_maps:lens_maps",
        inputs=to_map,
        outputs={"scored": paths.LENS_MAPS},
        settings=mapping,
        memory=6000,
        minutes=20,
        threads=True,
        gpu=True,
        message="Maps of latents and prompts of {wildcards.variant} against what was drawn",
    ),
    Stage(
        name="lens_bridge",
        entry="reliance.lens.bridge:lens_bridge",
        inputs=to_bridge,
        outputs={"bridge": paths.LENS_BRIDGE, "heads": paths.LENS_HEADS},
        settings=lambda plan, w: {"blocks": lens(plan, w.variant).layers, **passes(plan, w)},
        memory=16000,
        minutes=60,
        threads=True,
        gpu=True,
        message="Heads and neurons that write the latents of {wildcards.variant}",
    ),
    Stage(
        name="lens_cases",
        entry="reliance.lens.cases:lens_cases",
        inputs=to_ablate,
        outputs={"cases": paths.LENS_CASES},
        settings=lambda plan, w: {
            "block": lens(plan, w.variant).layers[-1],
            "dataset": plan.variant(w.variant).dataset,
            **passes(plan, w),
        },
        memory=8000,
        minutes=120,
        threads=True,
        gpu=True,
        message="Heads and neurons that carry the failure cases of {wildcards.variant}",
    ),
)
