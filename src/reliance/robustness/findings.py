"""Which findings of the paper the numbers bear out, said from the numbers (Sec. 5.3, App. D.2, Table 1).

What a case does to a way of probing is its gap, valid AUC - spurious AUC: by how much the distractors
are harder than all other images. Two ways of probing are compared by their gaps, paired over cases (a
difference in differences), because a way that ranks everything better has a larger spurious AUC without
being more robust. With several variants the differences of a case are averaged over them first, so that
cases, not models, are the sample. A finding holds if the 95 % interval of the mean (Student's t) lies on
the paper's side, fails if it lies on the other side, and is undecided otherwise: also with fewer than two
cases, if the mean is below LEAST, or if the spurious AUC itself moves the other way.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.claims import Finding, larger_is_more, positive, small
from reliance.base.failure_kinds import FAILURE_KINDS, PAPER_KINDS
from reliance.base.means import interval
from reliance.robustness.summary import FOUND, GROUP, PLANTED, usable

MARGIN = 0.05  # a difference of gaps that is called small
LEAST = 0.01  # a difference of areas that is too small to bear out anything
REGRESSIONS = {"logistic": "logistic regression", "ridge": "linear regression"}
WHERE = {
    (FOUND, ""): "on found cases",
    (PLANTED, "caption"): "on planted cases learned from captions",
    (PLANTED, "artefact"): "on planted cases only in the labels",
    (PLANTED, ""): "on planted cases",
}


class Claim(NamedTuple):
    """A finding as the paper states it: `probe` has a smaller gap than `baseline` (or nearly the same)."""

    name: str
    probe: str
    baseline: str | None  # None: the gap of `probe` itself is positive
    kinds: tuple[str, ...]
    words: str  # completed by the kind, and by what the linear probe is
    small: bool = False  # the difference of gaps is claimed to be within +- MARGIN instead


AUC, VALID, LINEAR = "spurious_auc", "valid_auc", "linear"
CLAIMS = (
    Claim("below_valid", "short", None, PAPER_KINDS, "distractors of {kind} fool short names"),
    Claim("full_names", "extended", "short", PAPER_KINDS[:2], "full names help against {kind}"),
    Claim("full_names", "extended", "short", PAPER_KINDS[3:], "full names hardly change {kind}", True),
    Claim("templates", "templated", "short", PAPER_KINDS[2:3], "templates help against {kind}"),
    Claim("templates", "templated", "short", PAPER_KINDS[3:], "templates hardly change {kind}", True),
    Claim(
        "probe_wins",
        LINEAR,
        "short",
        PAPER_KINDS[:3],
        "a linear probe ({probe}) is more robust than short names to {kind}",
    ),
    Claim(
        "text_wins",
        "short",
        LINEAR,
        PAPER_KINDS[3:],
        "short names are more robust than a linear probe ({probe}) to {kind}",
    ),
)


class Change(NamedTuple):
    """What a claim is about, per case of a group and averaged over variants."""

    closed: np.ndarray  # how much smaller the gap is than the baseline's [n]; the gap itself without one
    gained: np.ndarray  # spurious AUC minus the baseline's [n]; as `closed` without one


def findings(frame: pd.DataFrame) -> list[Finding]:
    """The findings for every group of found or planted cases that is present.

    Parameters
    ----------
    frame : rows of one or several variants as `summary.read_results` returns them.
    """
    keys = [*GROUP, "source", "failure_id", "variant"]
    wide = usable(frame).pivot(index=keys, columns="probe", values=[AUC, VALID])
    parts = {key: part for key, part in wide.groupby(level=GROUP)}
    given = frame.get("probe_given", pd.Series("", frame.index))
    probes = frame["probe_kind"].map(REGRESSIONS).mask(given != "", given)
    fitted = " or ".join(sorted(set(probes)))
    found = []
    for claim in CLAIMS:
        for kind in claim.kinds:
            words = claim.words.format(kind=FAILURE_KINDS[kind].plural, probe=fitted)
            for (section, mode), where in WHERE.items():
                change = _paired(parts.get((section, kind, mode), wide.iloc[:0]), claim)
                if len(change.closed):
                    name = ":".join(filter(None, (claim.name, section, kind, mode)))
                    found.append(_judge(claim, name, words, where, change))
    return found


def size_findings(frame: pd.DataFrame, sizes: Sequence[float]) -> list[Finding]:
    """Whether larger models tell both kinds of images better from those of a class (Sec. 5.3).

    frame : as for `findings`. sizes : of the image towers of its variants, in their order; 0: unknown.
    """
    rows = usable(frame[(frame["probe"] == "short") & (frame["section"] == FOUND)])
    variants = frame["variant"].unique()
    if len(sizes) != len(variants):
        return []
    means = rows.groupby("variant")[[AUC, VALID]].mean().reindex(variants)
    values = {str(name): means.loc[name].to_list() for name in variants}
    claim = "larger models have larger spurious and valid AUCs, by short names, over all found cases"
    return larger_is_more("larger_models", claim, values, sizes, 0.0)


def _paired(part: pd.DataFrame, claim: Claim) -> Change:
    """The claimed differences of a group's cases that have both sides."""

    def side(column: str, probe: str) -> pd.Series:
        return part[column, probe] if (column, probe) in part.columns else pd.Series(np.nan, part.index)

    closed = side(VALID, claim.probe) - side(AUC, claim.probe)
    gained = closed
    if claim.baseline is not None:
        closed = side(VALID, claim.baseline) - side(AUC, claim.baseline) - closed
        gained = side(AUC, claim.probe) - side(AUC, claim.baseline)
    both = pd.DataFrame({"closed": closed, "gained": gained}).dropna()
    means = both.groupby(level=["source", "failure_id"]).mean()
    return Change(means["closed"].to_numpy(), means["gained"].to_numpy())


def _judge(claim: Claim, name: str, words: str, where: str, change: Change) -> Finding:
    mean, low, high = interval(change.closed)
    gained = float(change.gained.mean())
    said = words + (f" (by less than {MARGIN})" if claim.small else "")
    holds = small(low, high, MARGIN) if claim.small else positive(low, high)
    if not claim.small and holds is not None and (abs(mean) < LEAST or mean * gained < 0):
        holds = None
    count = "one case, no interval" if len(change.closed) == 1 else f"{len(change.closed)} cases"
    reach = "" if len(change.closed) == 1 else f" [{low:+.3f}, {high:+.3f}]"
    told = f"gap {mean:+.3f}{reach}"
    if claim.baseline is not None:
        told = f"gap closed by {mean:+.3f}{reach}, spurious AUC {gained:+.3f}"
    return Finding(name, holds, said, f"{where} ({told}, {count})")
