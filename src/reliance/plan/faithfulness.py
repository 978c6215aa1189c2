"""Whether deleting and inserting the latents that an attribution names moves the output (Figs. 3, 7, 8)."""

from reliance.plan import paths
from reliance.plan.attribution import explained
from reliance.plan.stage import Stage, in_blocks

STAGES = (
    Stage(
        name="faithfulness",
        entry="reliance.faithfulness.table:faithfulness",
        inputs=lambda plan, w: explained(plan, w.variant, "test"),
        outputs={"faithfulness": paths.FAITHFULNESS, "summary": paths.FAITHFULNESS_SUMMARY},
        settings=lambda plan, w: {**plan.config.faithfulness.model_dump(), **plan.compute, "split": "test"},
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=60,
        threads=True,
        gpu=True,
        message="Deleting and inserting latents of {wildcards.variant}",
    ),
)
