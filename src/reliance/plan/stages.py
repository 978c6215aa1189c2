"""All stages of the pipeline."""

from reliance.plan import (
    atlas,
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
    matching,
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
    matching,
    figures,
    explore,
    atlas,
    report,
    unlabelled,
)
STAGES = tuple(stage for room in ROOMS for stage in room.STAGES)
