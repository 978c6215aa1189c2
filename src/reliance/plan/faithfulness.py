"""Whether deleting and inserting what an attribution names moves the output (Figs. 3, 7, 8), by basis."""

from reliance.plan import paths
from reliance.plan.attribution import by_tail, explained
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS

BASES = ("neurons", "pca")  # beside the latents of the SAE


def measuring(plan: Plan, w: Wildcards) -> Values:
    """Which images, and how far."""
    return {**plan.config.faithfulness.model_dump(), **plan.compute, "split": "test"}


def in_basis(plan: Plan, w: Wildcards) -> Paths:
    """The same images without an SAE; a basis is fitted to the training images, as an SAE is."""
    found = explained(plan, w.variant, "test")
    kept = {name: path for name, path in found.items() if name not in ("codes", "sae")}
    return {**kept, "fitted": plan.embedded(w.variant, "train")}


SAE = Stage(
    name="faithfulness",
    entry="reliance.faithfulness.table:faithfulness",
    also=(KINDS["sae"],),
    inputs=lambda plan, w: explained(plan, w.variant, "test"),
    outputs={"faithfulness": paths.FAITHFULNESS, "summary": paths.FAITHFULNESS_SUMMARY},
    settings=measuring,
    untracked=in_blocks,
    memory=lambda s: 4000 + 0.1 * s.latents,
    minutes=60,
    threads=True,
    gpu=True,
    message="Deleting and inserting latents of {wildcards.variant}",
)


def of(pattern: str, basis: str) -> str:
    """The pattern of one basis."""
    return pattern.replace("{basis}", basis)


def faithfulness_in(basis: str) -> Stage:
    """The same for another basis; nothing but coordinates, so that no error term is dropped."""
    return SAE._replace(
        name=f"faithfulness_{basis}",
        also=(KINDS[basis],),
        inputs=in_basis,
        outputs={
            "faithfulness": of(paths.BASIS_FAITHFULNESS, basis),
            "summary": of(paths.BASIS_FAITHFULNESS_SUMMARY, basis),
        },
        settings=lambda plan, w: {**measuring(plan, w), "error_terms": ["frozen"], "units": KINDS[basis]},
        memory=8000,
        message=f"Deleting and inserting components of {basis} of {{wildcards.variant}}",
    )


STAGES = tuple(row for stage in (SAE, *map(faithfulness_in, BASES)) for row in by_tail(stage))
