"""Components as a table: statistics, clarity, a name; on train, on test, under names that were asked for."""

from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.stage import Paths, Stage, Values, in_blocks


def labels(plan: Plan, variant: str, split: str, prompt_set: str = "vocabulary") -> Paths:
    """What the variant's labeller says of the images of a split and of names."""
    labeller, dataset = plan.labeller(variant), plan.variant(variant).dataset
    return {
        "labels": plan.embeddings(labeller, plan.labelled_at(variant), dataset, split),
        "vocabulary": at(paths.TEXT, encoder=labeller, dataset=dataset, prompt_set=prompt_set),
    }


def to_name(plan: Plan, w: Wildcards) -> Paths:
    """Codes and strongest images on train, and what the labeller says of these."""
    return {**labels(plan, w.variant, "train"), **_on_train(w)}


def to_name_again(plan: Plan, w: Wildcards) -> Paths:
    """The same with the names that hidden concepts are held against."""
    return {**labels(plan, w.variant, "train", "asked"), **_on_train(w)}


def to_name_on_test(plan: Plan, w: Wildcards) -> Paths:
    """The same on test, where the strongest images are looked for in the codes."""
    codes = at(paths.CODES, variant=w.variant, split="test")
    return {**labels(plan, w.variant, "test"), "codes": codes}


def _on_train(w: Wildcards) -> Paths:
    codes = at(paths.CODES, variant=w.variant, split="train")
    return {"codes": codes, "top_samples": at(paths.TOP_SAMPLES, variant=w.variant)}


def naming(plan: Plan, w: Wildcards) -> Values:
    """How many images a name comes from."""
    return some(plan.config.naming, "top_n", "min_active")


def components_of(basis: str, split: str) -> str:
    """Pattern of the components of another basis, or on another split."""
    return paths.OTHER_COMPONENTS.replace("{basis}", basis).replace("{split}", split)


COMPONENT_TABLE = Stage(
    name="component_table",
    entry="reliance.naming.table:component_table",
    inputs=to_name,
    outputs={"components": paths.COMPONENTS},
    settings=naming,
    untracked=in_blocks,
    memory=lambda s: 4000 + 0.1 * s.latents,
    minutes=lambda s: 10 + s.train / 30000,
    message="Naming the components of {wildcards.variant}",
)


def to_draw_again(plan: Plan, w: Wildcards) -> Paths:
    """What names were made from, and the names."""
    return {**to_name(plan, w), "components": at(paths.COMPONENTS, variant=w.variant)}


STAGES = (
    COMPONENT_TABLE,
    COMPONENT_TABLE._replace(
        name="component_table_test",
        inputs=to_name_on_test,
        outputs={"components": components_of("sae", "test")},
        message="Naming the components of {wildcards.variant} on the test split",
    ),
    COMPONENT_TABLE._replace(
        name="component_table_asked",
        inputs=to_name_again,
        outputs={"components": components_of("asked", "train")},
        message="Holding the components of {wildcards.variant} against the names that were asked for",
    ),
    Stage(
        name="name_stability",
        entry="reliance.naming.stability:name_stability",
        inputs=to_draw_again,
        outputs={"name_stability": paths.NAME_STABILITY},
        settings=lambda plan, w: some(plan.config.naming, "top_n", "draws", "near"),
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 20 + s.train / 10000,
        message="Drawing the names of the components of {wildcards.variant} again",
    ),
)
