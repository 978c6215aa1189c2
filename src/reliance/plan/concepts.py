"""What components stand for: other bases, alignments, names that nobody would expect (Figs. 4, 10, 11)."""

from reliance.plan import paths
from reliance.plan.naming import components_of, labels, naming
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values, in_blocks


def to_name_axes(plan: Plan, w: Wildcards) -> Paths:
    """The class tokens whose axes are named, and what the labeller says of their images."""
    files: Paths = {**labels(plan, w.variant, "train"), "embeddings": plan.embedded(w.variant, "train")}
    if w.basis == "untrained":
        files["sae"] = at(paths.SAE, variant=w.variant)
    return files


def to_align(plan: Plan, w: Wildcards) -> Paths:
    """What a labeller says of test images and of the names of their classes.

    The labeller of planted data never saw the ambiguous names; what a class shows is in its definition there.
    """
    plan.check_classes(w.dataset)
    names = "definition" if plan.dataset(w.dataset).planted else "short"
    here = {"encoder": w.encoder, "dataset": w.dataset}
    return {
        "index": at(paths.INDEX, dataset=w.dataset),
        "labels": plan.embeddings(w.encoder, w.site, w.dataset, "test"),
        "names": at(paths.TEXT, **here, prompt_set=names),
        "vocabulary": at(paths.TEXT, **here, prompt_set="vocabulary"),
    }


def alignments(plan: Plan, variant: str) -> str:
    """How well classes look like their names to the variant's labeller."""
    labeller, site = plan.labeller(variant), plan.labelled_at(variant)
    return plan.path(paths.ALIGNMENTS, variant, encoder=labeller, site=site)


def to_find_hidden(plan: Plan, w: Wildcards) -> Paths:
    """Components, what they drive, and the components under other names if those are asked for."""
    files: Paths = {
        "components": at(paths.COMPONENTS, variant=w.variant),
        "expectations": at(paths.EXPECTATIONS, variant=w.variant),
        "attributions": at(paths.ATTRIBUTIONS, variant=w.variant, attributed="subset"),
        "alignments": alignments(plan, w.variant),
    }
    if plan.asked(plan.variant(w.variant).dataset):
        files["asked"] = at(components_of("asked", "train"), variant=w.variant)
    return files


def finding(plan: Plan, w: Wildcards) -> Values:
    """When a concept counts as hidden."""
    return plan.config.hidden.model_dump(exclude={"vocabulary", "prompts"})


STAGES = (
    Stage(
        name="basis_table",
        entry="reliance.concepts.bases:basis_table",
        inputs=to_name_axes,
        outputs={"components": paths.OTHER_COMPONENTS.replace("{split}", "train")},
        constraints={"basis": "neurons|pca|random|untrained"},
        settings=lambda plan, w: {"basis": w.basis, **naming(plan, w)},
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.002 * s.train + 0.1 * s.latents,
        minutes=lambda s: 20 + s.train / 15000,
        message="Naming the {wildcards.basis} of {wildcards.variant}",
    ),
    Stage(
        name="alignment_baseline",
        entry="reliance.concepts.alignments:alignment_baseline",
        inputs=to_align,
        outputs={"alignments": paths.ALIGNMENTS},
        settings=lambda plan, w: {"split": "test"},
        untracked=in_blocks,
        memory=lambda s: 3000 + 0.01 * s.test,
        minutes=30,
        message="Aligning the classes of {wildcards.dataset} with their own names, "
        "seen by {wildcards.encoder}",
    ),
    Stage(
        name="hidden_concepts",
        entry="reliance.concepts.hidden:hidden_concepts",
        inputs=to_find_hidden,
        outputs={"hidden": paths.HIDDEN},
        settings=finding,
        memory=lambda s: 2000 + 3e-5 * s.classes * s.latents,
        minutes=lambda s: 10 + s.train / 100000,
        message="Looking for hidden concepts of {wildcards.variant}",
    ),
)
