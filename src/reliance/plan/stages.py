"""All stages of the pipeline."""

from reliance.plan import (
    attribution,
    audits,
    codes,
    concepts,
    encoders,
    explore,
    failures,
    faithfulness,
    figures,
    images,
    naming,
    planted,
    report,
    robustness,
    sae,
    unlabelled,
)

ROOMS = (
    planted,
    images,
    encoders,
    sae,
    codes,
    naming,
    attribution,
    failures,
    robustness,
    faithfulness,
    concepts,
    audits,
    figures,
    explore,
    report,
    unlabelled,
)
STAGES = tuple(stage for room in ROOMS for stage in room.STAGES)
