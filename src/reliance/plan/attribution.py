"""How much each active component drives the output for an image's own class (Eqs. 3, 5 and 6)."""

from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS


def explained(plan: Plan, variant: str, split: str) -> Paths:
    """What every attribution is computed from."""
    plan.check_classes(plan.variant(variant).dataset)
    return {
        "index": plan.path(paths.INDEX, variant),
        "embeddings": plan.embedded(variant, split),
        "codes": at(paths.CODES, variant=variant, split=split),
        "sae": at(paths.SAE, variant=variant),
        "head": plan.path(paths.HEAD, variant),
        "text": plan.path(paths.TEXT, variant, prompt_set=plan.variant(variant).failures.prompt_set),
    }


def attributed_split(w: Wildcards) -> str:
    """The split a table of attributions reads: the subset is a view of train."""
    return "train" if w.attributed == "subset" else "test"


def attributing(plan: Plan, w: Wildcards) -> Values:
    """Which images."""
    every_nth = plan.variant(w.variant).failures.every_nth if w.attributed == "subset" else 1
    return {"split": attributed_split(w), "every_nth": every_nth, **plan.compute}


STAGES = (
    Stage(
        name="attribute_split",
        entry="reliance.attribution.table:attribute_split",
        inputs=lambda plan, w: explained(plan, w.variant, attributed_split(w)),
        outputs={"attributions": paths.ATTRIBUTIONS, "outputs": paths.OUTPUTS},
        also=(KINDS["sae"],),
        constraints={"attributed": "subset|test"},
        settings=attributing,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.images / 25000,
        threads=True,
        gpu=True,
        message="Attributing the outputs of {wildcards.variant} on {wildcards.attributed}",
    ),
)
