"""Which findings of the paper the numbers bear out, said from the numbers (Sec. 5.3, App. D.2, Table 1).

Every finding is a difference of two areas, paired over cases (spurious AUCs of two probes, or the
valid and the spurious AUC of one); with several variants the
differences of a case are averaged over them first, so that cases, not models, are the sample. A
finding holds if the 95 % interval of the mean (Student's t) lies on the paper's side, fails if it
lies on the other side, and is undecided otherwise, also with fewer than two cases, or if a difference
is below LEAST.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.claims import Finding, positive, small
from reliance.base.failure_kinds import FAILURE_KINDS, PAPER_KINDS
from reliance.base.means import interval
from reliance.robustness.summary import FOUND, GROUP, PLANTED, usable

MARGIN = 0.05  # a difference of areas that is called small
LEAST = 0.01  # a difference of areas that is too small to bear out anything
WHERE = {
    (FOUND, ""): "on found cases",
    (PLANTED, "caption"): "on planted cases learned from captions",
    (PLANTED, "artefact"): "on planted cases only in the labels",
    (PLANTED, ""): "on planted cases",
}


class Claim(NamedTuple):
    """A finding as the paper states it: the difference high - low is positive (or small)."""

    name: str
    high: tuple[str, str]  # (probe, column)
    low: tuple[str, str]
    kinds: tuple[str, ...]
    words: str  # completed by the kind
    small: bool = False  # the difference is claimed to be within +- MARGIN instead


AUC, VALID = "spurious_auc", "valid_auc"
SHORT, FULL, TEMPLATED, PROBE = ("short", AUC), ("extended", AUC), ("templated", AUC), ("linear", AUC)
CLAIMS = (
    Claim("below_valid", ("short", VALID), SHORT, PAPER_KINDS, "distractors of {} fool short names"),
    Claim("full_names", FULL, SHORT, PAPER_KINDS[:2], "full names help against {}"),
    Claim("full_names", FULL, SHORT, PAPER_KINDS[3:], "full names hardly change {}", True),
    Claim("templates", TEMPLATED, SHORT, PAPER_KINDS[2:3], "templates help against {}"),
    Claim("templates", TEMPLATED, SHORT, PAPER_KINDS[3:], "templates hardly change {}", True),
    Claim("probe_wins", PROBE, SHORT, PAPER_KINDS[:3], "a linear probe beats short names on {}"),
    Claim("text_wins", SHORT, PROBE, PAPER_KINDS[3:], "short names beat a linear probe on {}"),
)


def findings(frame: pd.DataFrame) -> list[Finding]:
    """The findings for every group of found or planted cases that is present.

    Parameters
    ----------
    frame : rows of one or several variants as `summary.read_results` returns them.
    """
    keys = [*GROUP, "source", "failure_id", "variant"]
    wide = usable(frame).pivot(index=keys, columns="probe", values=[AUC, VALID])
    parts = {key: part for key, part in wide.groupby(level=GROUP)}
    found = []
    for claim in CLAIMS:
        for kind in claim.kinds:
            for section, mode in WHERE:
                values = _paired(parts.get((section, kind, mode), wide.iloc[:0]), claim)
                if len(values):
                    found.append(_judge(claim, kind, section, mode, values))
    return found


def _paired(part: pd.DataFrame, claim: Claim) -> np.ndarray:
    """The claimed difference per case of a group, averaged over variants, [n]."""
    sides = [
        part[column, probe] if (column, probe) in part.columns else pd.Series(np.nan, part.index)
        for probe, column in (claim.high, claim.low)
    ]
    difference = (sides[0] - sides[1]).dropna()
    return difference.groupby(level=["source", "failure_id"]).mean().to_numpy()


def _judge(claim: Claim, kind: str, section: str, mode: str, values: np.ndarray) -> Finding:
    mean, low, high = interval(values)
    name = FAILURE_KINDS[kind].plural
    said = claim.words.format(name) + (f" (by less than {MARGIN})" if claim.small else "")
    holds = small(low, high, MARGIN) if claim.small else positive(low, high)
    if holds and not claim.small and mean < LEAST:
        holds = None
    count = "one case, no interval" if len(values) == 1 else f"{len(values)} cases"
    reach = "" if len(values) == 1 else f" [{low:+.3f}, {high:+.3f}]"
    numbers = f"{WHERE[section, mode]} ({mean:+.3f}{reach}, {count})"
    return Finding(":".join(filter(None, (claim.name, section, kind, mode))), holds, said, numbers)
