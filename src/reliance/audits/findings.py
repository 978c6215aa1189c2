"""What the paper found in its audit of a melanoma classifier, held against numbers (Sec. 5.4, Fig. 15).

A fall of accuracy counts if it is larger than three of its standard errors. These are, as the paper's, those
of two independent accuracies, larger than those of a fall over the same images. What is said of the repair is
undecided where there was nothing to repair, and everything is where the audit can say nothing (`doubts`).
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from reliance.audits.doubts import doubts
from reliance.audits.drops import MANY, Drop, drop_of
from reliance.audits.schema import INCREASED, NONE, PLAIN, ROBUST
from reliance.base.claims import Finding


def findings(accuracies: pd.DataFrame, relevances: pd.DataFrame, audit: Mapping[str, Any]) -> list[Finding]:
    """The findings of one audit.

    accuracies, relevances : columns of ACCURACIES and RELEVANCES. audit : what audit.json says.
    """
    shortcut = _shortcut(accuracies, audit)
    repaired = [_repair(audit), _relevance(relevances, audit), _strength(accuracies, audit)]
    doubted = doubts(accuracies, audit)
    if doubted.test:
        shortcut = shortcut._replace(holds=None)
    if doubted.all:
        repaired = [finding._replace(holds=None) for finding in repaired]
    return [shortcut, *repaired]


def percent(drop: Drop) -> str:
    """A fall with its standard error, in percent points."""
    return f"{100 * drop.drop:+.1f} ± {100 * drop.sem:.1f} %".replace("-", "−")


def name_of(audit: Mapping[str, Any], side: str) -> str:
    """What a class of the audit is called; `side` is "positive" | "negative"."""
    return str(audit["names"][0 if side == "positive" else 1])


def gain_of(audit: Mapping[str, Any], change: str) -> str:
    """How the images were changed: "red × 2"."""
    made = audit["transforms"][change]
    return f"{'brightness' if made['channel'] == 'all' else made['channel']} × {1 - made['delta']:g}"


def _shortcut(accuracies: pd.DataFrame, audit: Mapping[str, Any]) -> Finding:
    side = audit["fallen"] or _lowest(audit)
    plain = accuracies[(accuracies["probe"] == PLAIN) & (accuracies["positive"] == (side == "positive"))]
    by_change = plain.set_index("change")["accuracy"]
    before, after = (100 * float(by_change.loc[change]) for change in (NONE, INCREASED))
    numbers = f"for {name_of(audit, side)} ({before:.1f} to {after:.1f} %, a fall of "
    numbers += f"{percent(Drop(**audit['drops'][PLAIN][side]))})"
    claim = f"the accuracy of a class falls by more than {MANY:g} SEM when the images are changed"
    drop = Drop(**audit["drops"][PLAIN][side])
    visible = before / 100 > MANY * drop.sem  # else not even a fall to nothing would count
    return Finding("shortcut", bool(audit["claim"]) if audit["claim"] or visible else None, claim, numbers)


def _repair(audit: Mapping[str, Any]) -> Finding:
    side = audit["fallen"] or _lowest(audit)
    plain, robust = (percent(Drop(**audit["drops"][probe][side])) for probe in (PLAIN, ROBUST))
    numbers = f"for {name_of(audit, side)} (a fall of {robust} instead of {plain})"
    claim = "a probe that learned from embeddings blurred along the component falls at most half as far"
    return Finding("repair", audit["halved"], claim, numbers)


def _relevance(relevances: pd.DataFrame, audit: Mapping[str, Any]) -> Finding:
    own = relevances[relevances["component"] == audit["component"]]
    own = own[own["positive"] == (audit["toward"] == "positive")]
    signed = {probe: _signed(own[own["probe"] == probe]) for probe in (PLAIN, ROBUST)}
    numbers = f"for #{audit['component']} and {name_of(audit, audit['toward'])} "
    numbers += f"({signed[PLAIN]:+.1f} % in the plain probe, {signed[ROBUST]:+.1f} % in the robust one)"
    claim = "the component is less relevant to the robust probe"
    holds = signed[ROBUST] * np.sign(signed[PLAIN]) < abs(signed[PLAIN])
    return Finding("less_relevant", bool(holds) if audit["claim"] else None, claim, numbers.replace("-", "−"))


def _strength(accuracies: pd.DataFrame, audit: Mapping[str, Any]) -> Finding:
    side = audit["fallen"] or _lowest(audit)
    robust = accuracies[accuracies["probe"] == ROBUST]["alpha"].unique().tolist()
    alphas = [0.0, *sorted(robust)]
    probes = [PLAIN, *[ROBUST] * len(robust)]
    falls = [drop_of(accuracies, p, a, side == "positive") for p, a in zip(probes, alphas, strict=True)]
    pairs = list(itertools.pairwise(falls))
    smaller = all(later.drop <= earlier.drop + earlier.sem for earlier, later in pairs)
    holds = (smaller and falls[-1].drop < falls[0].drop) if audit["claim"] and pairs else None
    said = ", ".join(f"{percent(d)} at {a:g}" for d, a in zip(falls, alphas, strict=True))
    claim = "the stronger the augmentation, the smaller the fall (within one SEM from step to step)"
    return Finding("strength", holds, claim, f"for {name_of(audit, side)} ({said})")


def _lowest(audit: Mapping[str, Any]) -> str:
    """The class whose accuracy falls furthest."""
    drops = {side: float(audit["drops"][PLAIN][side]["drop"]) for side in ("positive", "negative")}
    return max(drops, key=lambda side: drops[side])


def _signed(row: pd.DataFrame) -> float:
    """Share of a relevance (one row) with its sign, percent."""
    return float(row["share"].iloc[0]) * (1 if row["relevance"].iloc[0] >= 0 else -1)
