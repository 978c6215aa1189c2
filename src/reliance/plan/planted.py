"""The embedded data: a drawn world with planted failures, and the small CLIPs that learn it."""

from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name, beside
from reliance.plan.plan import Plan, some
from reliance.plan.stage import Paths, Stage, Values


def drawn(plan: Plan, dataset: str, *names: str) -> Paths:
    """Files that the drawing stage made, by name; a rehearsal reads those of the whole set."""
    plan.planted(dataset)
    patterns = {"truth": paths.TRUTH_TABLE, "plants": paths.PLANTS, "names": paths.NAMES}
    return {name: at(patterns[name], dataset=base_name(dataset)) for name in names}


def world(plan: Plan, w: Wildcards) -> Values:
    """What shapes a planted data set."""
    return plan.planted(w.dataset).model_dump(exclude_none=True)


def training(plan: Plan, w: Wildcards) -> Values:
    """What shapes a small CLIP, the captioned pool that it learns from included."""
    section = plan.training(w.encoder)
    pool = plan.planted(section.dataset).model_dump(include={"world", "classes"}, exclude_none=True)
    usual = {"blocks"} if section.blocks == type(section).model_fields["blocks"].default else set()
    return {**section.model_dump(exclude={"dataset", *usual}), **pool, "threads": 1}


def to_list(plan: Plan, w: Wildcards) -> Paths:
    """What was planted, and the images that show it."""
    files = {"index": at(paths.INDEX, dataset=w.dataset), "classes": at(paths.CLASSES, dataset=w.dataset)}
    return {**drawn(plan, w.dataset, "truth", "plants"), **files}


def to_score(plan: Plan, w: Wildcards) -> Paths:
    """The mined cases of a variant, the flags they are from, and what was planted."""
    v = plan.variant(w.variant)
    files = drawn(plan, v.dataset, "truth", "plants")
    return {
        "failures": at(paths.FAILURES, variant=w.variant),
        "failure_samples": at(paths.FAILURE_SAMPLES, variant=w.variant),
        "outliers": at(paths.OUTLIERS, variant=w.variant),
        "outlier_samples": at(paths.OUTLIER_SAMPLES, variant=w.variant),
        "truth_table": files["truth"],
        "plants": files["plants"],
        "index": plan.path(paths.INDEX, w.variant),
        "classes": plan.path(paths.CLASSES, w.variant),
        "embeddings": plan.embedded(w.variant, "train"),
        "text": plan.path(paths.TEXT, w.variant, prompt_set=v.failures.prompt_set),
        "expectations": at(paths.EXPECTATIONS, variant=w.variant),
    }


def scoring(plan: Plan, w: Wildcards) -> Values:
    """The thresholds that decide which planted failures can be found, and how flags become cases."""
    return some(plan.variant(w.variant).failures, "every_nth", "confidence_std", "min_samples", "overlap")


STAGES = (
    Stage(
        name="render_planted",
        entry="reliance.planted.dataset:render_planted",
        outputs={
            "images": paths.IMAGES,
            "truth": paths.TRUTH_TABLE,
            "names": paths.NAMES,
            "plants": paths.PLANTS,
            "vocabulary": paths.VOCABULARY,
        },
        folders=("images",),
        settings=world,
        memory=2000,
        message="Drawing the planted data set {wildcards.dataset}",
    ),
    Stage(
        name="list_attributes",
        entry="reliance.planted.groups:list_attributes",
        inputs=lambda plan, w: drawn(plan, w.dataset, "truth"),
        outputs={"attributes": paths.ATTRIBUTES},
        minutes=5,
        message="Listing what was drawn beside the things of {wildcards.dataset}",
    ),
    Stage(  # one thread: the matrices are small, and two trainings side by side use two cores better
        name="train_clip",
        entry="reliance.planted.train_clip:train_clip",
        outputs={"checkpoint": paths.CHECKPOINT, "halfway": paths.HALFWAY, "history": paths.TRAINING},
        settings=training,
        resumes=True,
        memory=4000,
        minutes=60,
        message="Training the small CLIP {wildcards.encoder} on captioned drawings",
    ),
    Stage(
        name="planted_cases",
        entry="reliance.planted.truth:planted_cases",
        inputs=to_list,
        outputs={"failures": paths.PLANTED, "failure_samples": paths.PLANTED_SAMPLES},
        beside=beside(paths.PLANTED),
        settings=lambda plan, w: {"dataset": w.dataset},
        minutes=5,
        message="Listing what was planted in {wildcards.dataset}",
    ),
    Stage(
        name="score_truth",
        entry="reliance.planted.truth:score_truth",
        inputs=to_score,
        outputs={"truth": paths.TRUTH},
        settings=scoring,
        minutes=5,
        message="Comparing the mined cases of {wildcards.variant} with what was planted",
    ),
)
