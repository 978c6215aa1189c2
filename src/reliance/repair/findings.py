"""What repairs do, by kind of failure, as findings with verdicts: in the form of the paper's, but not its."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.claims import Finding, positive
from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.repair.paired import Z

HALF = 0.5


class Claim(NamedTuple):
    """That a repair closes at least half of the gap of a kind of case, or does not."""

    repair: str
    kind: str
    repairs: bool


CLAIMS = (
    Claim("words", "polysemous", True),
    Claim("words", "compound", True),
    Claim("words", "typography", True),
    Claim("words", "spurious", False),
    Claim("unit_edit", "spurious", True),
    Claim("unit_edit", "typography", True),
)
NAMES = {
    "words": "other words",
    "contrast": "words for the distractors, taken out of the prompt,",
    "text_edit": "what the latents add, taken out of the prompt,",
    "unit_edit": "clipped latents",
    "probe": "linear probes that are blind to them",
}


def closed(frame: pd.DataFrame) -> np.ndarray:
    """Share of the gap between valid and spurious AUC that every row of REPAIRS closes; those with a gap."""
    gap = [frame[f"{side}_valid"] - frame[f"{side}_spurious"] for side in ("before", "after")]
    has = gap[0] > 0
    found = (1 - gap[1][has] / gap[0][has]).to_numpy(np.float64)
    known: np.ndarray = found[np.isfinite(found)]
    return known


def findings(frame: pd.DataFrame) -> list[Finding]:
    """A finding per claim whose kind of case is there. frame : REPAIRS, numbers of the judging half."""
    found = []
    for claim in CLAIMS:
        own = frame[(frame["repair"] == claim.repair) & (frame["kind"] == claim.kind)]
        shares = closed(own)
        if not len(shares):
            continue
        mean = float(shares.mean())
        error = float(shares.std(ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else np.nan
        low, high = mean - HALF - Z * error, mean - HALF + Z * error
        more = positive(low, high)
        holds = more if claim.repairs or more is None else not more
        cost = float((own["after_top1"] - own["before_top1"]).mean())
        numbers = (
            f"({mean:.0%} of the gap [{low + HALF:.0%}, {high + HALF:.0%}] over {len(shares)} cases, at "
            f"{cost:+.2%} of accuracy each)"
        )
        verb = "close at least half" if claim.repairs else "close less than half"
        words = f"{NAMES[claim.repair]} {verb} of the gap of {FAILURE_KINDS[claim.kind].plural}"
        found.append(Finding(f"repair:{claim.repair}:{claim.kind}", holds, words, numbers))
    return found
