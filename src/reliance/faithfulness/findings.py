"""Which findings of the paper on faithfulness the curves bear out (Sec. 5.1, App. B.2).

Two methods are compared by the gain of the first: by how much its output is lower in deletion, or higher
in insertion, at one step or on average over steps. Only steps count at which any two orders differ: once
all active latents of all images are used up, or before the first one is, orders are equal by identity.

The gain is paired over classes: all images of a class share an order in global and reference deletion, and
are alike in the others, so that classes are what a new sample would draw. A finding holds if the gain's
95 % interval (Student's t over classes, each with the same weight) lies on the paper's side, fails if it
lies on the other, and is undecided otherwise. A finding on one method against several needs all of the
comparisons to hold, and fails with any of them; its numbers are those of the decisive one. That a method
is better holds by MARGIN of the clean output at least; a smaller gain is undecided.
Frozen error term; local orders over the active latents.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.claims import Finding, positive, sizeable, small
from reliance.base.means import interval
from reliance.faithfulness.schema import (
    FROZEN,
    GLOBAL_DELETION,
    GREEDY,
    LOCAL_DELETION,
    LOCAL_INSERTION,
    METHODS,
    PROTOCOLS,
    REFERENCE_DELETION,
)
from reliance.faithfulness.summary import by_class

MARGIN = 0.01  # a share of the clean output that is called small
SAME = 1e-9  # outputs closer than this differ by rounding
GRADIENTS = ("act_x_grad", "integrated_gradients")
OTHERS = ("act_x_lens", "logit_lens", "energy", "random")
NAMES = {
    "act_x_grad": "act x grad",
    "ablation": "leave one out",
    "integrated_gradients": "Integrated Gradients",
    "act_x_lens": "act x Logit Lens",
    "logit_lens": "Logit Lens",
    "energy": "energy",
    "random": "a random order",
    GREEDY: "the greedy order",
}
WHERE = {
    LOCAL_DELETION: "in local deletion",
    LOCAL_INSERTION: "in local insertion",
    GLOBAL_DELETION: "in global deletion",
    REFERENCE_DELETION: "in deletion with a random reference",
}
FIRING = ", where a random order is over the latents that fire on images of the class"
LATE, EARLY = "last step", "first step"


class Compared(NamedTuple):
    """The gain of one method over another."""

    first: str
    second: str
    holds: bool | None
    mean: float
    low: float  # ends of the 95 % interval, nan for one class
    high: float


class Curves:
    """The curves of a faithfulness table that findings look at."""

    def __init__(self, frame: pd.DataFrame) -> None:
        local = frame["protocol"].isin((LOCAL_DELETION, LOCAL_INSERTION))
        kept = by_class(frame[(frame["error_term"] == FROZEN) & (frame["restrict_to_active"] | ~local)])
        self._y = {  # class by step [c, S + 1]
            key: part.pivot(index="class_id", columns="step", values="y").to_numpy()
            for key, part in kept.groupby(["protocol", "method"])
        }
        self.last = {protocol: self._last(protocol) for protocol in PROTOCOLS}
        self.margin = MARGIN * abs(float(self._y[LOCAL_DELETION, "act_x_grad"][:, 0].mean()))

    def _last(self, protocol: str) -> int:
        """The last step at which any two orders differ for any class; 0 if there is none."""
        y = np.stack([found for (own, _), found in self._y.items() if own == protocol])
        differ = np.flatnonzero((np.ptp(y, axis=0) > SAME).any(axis=0))
        return int(differ.max(initial=0))

    def steps(self, protocol: str, step: str | None) -> range:
        """The steps that are compared: one of them, or all from 1 to the last at which orders differ."""
        last = self.last[protocol]
        return {None: range(1, last + 1), EARLY: range(1, 2), LATE: range(last, last + 1)}[step]

    def gain(self, protocol: str, first: str, second: str, steps: range) -> np.ndarray:
        """By how much `first` is the more faithful, on average over steps, by class [c]."""
        sign = 1 if protocol == LOCAL_INSERTION else -1
        difference = self._y[protocol, first][:, steps] - self._y[protocol, second][:, steps]
        gain: np.ndarray = sign * np.round(difference.mean(axis=1), 12)  # rounding is alike in all classes
        return gain


def findings(frame: pd.DataFrame) -> list[Finding]:
    """The findings of one variant; frame has the columns of FAITHFULNESS."""
    curves = Curves(frame)
    parts: list[Callable[[Curves], list[Finding]]] = [
        _gradients_lead,
        _random_is_worst,
        _energy_starts_badly,
        _lens_leads_with_reference,
        _act_x_lens,
        _integrated_ends_well,
    ]
    return [finding for part in parts for finding in part(curves)]


def _gradients_lead(curves: Curves) -> list[Finding]:
    others = "act x Logit Lens, Logit Lens, energy and a random order (up to 1 % of the output)"
    verbs = {"act_x_grad": "is", "integrated_gradients": "are"}
    found = []
    for method in GRADIENTS:
        claim = f"{NAMES[method]} {verbs[method]} at least as faithful as each of {others}"
        pairs = [(method, other) for other in OTHERS]
        found += [
            _judge(curves, f"{method}_leads", claim, protocol, pairs, margin=curves.margin)
            for protocol in (LOCAL_DELETION, GLOBAL_DELETION, LOCAL_INSERTION)
        ]
    return found


def _random_is_worst(curves: Curves) -> list[Finding]:
    claim = "a random order is the least faithful"
    pairs = [(method, "random") for method in METHODS if method != "random"]
    notes = {GLOBAL_DELETION: FIRING, REFERENCE_DELETION: f"{FIRING}, which no reference image knows"}
    return [
        _judge(curves, "random_is_worst", claim, protocol, pairs, note=notes.get(protocol, ""))
        for protocol in PROTOCOLS
    ]


def _energy_starts_badly(curves: Curves) -> list[Finding]:
    claim = "energy is weak at the first step"
    pairs = [("act_x_grad", "energy")]
    return [_judge(curves, "energy_starts_badly", claim, LOCAL_DELETION, pairs, step=EARLY)]


def _lens_leads_with_reference(curves: Curves) -> list[Finding]:
    claim = "Logit Lens, which needs no reference, is best when the reference is random"
    pairs = [("logit_lens", method) for method in METHODS if method != "logit_lens"]
    return [_judge(curves, "lens_leads", claim, REFERENCE_DELETION, pairs)]


def _act_x_lens(curves: Curves) -> list[Finding]:
    same = "act x Logit Lens is as good as act x grad in deletion (within 1 % of the output)"
    worse = "act x Logit Lens is worse than act x grad in insertion"
    pairs = [("act_x_grad", "act_x_lens")]
    name = "act_x_lens"
    return [
        _judge(curves, name, same, LOCAL_DELETION, pairs, margin=curves.margin, within=True),
        _judge(curves, name, same, GLOBAL_DELETION, pairs, margin=curves.margin, within=True),
        _judge(curves, name, worse, LOCAL_INSERTION, pairs),
    ]


def _integrated_ends_well(curves: Curves) -> list[Finding]:
    claim = "Integrated Gradients are better than act x grad once many latents are deleted"
    pairs = [("integrated_gradients", "act_x_grad")]
    return [
        _judge(curves, "integrated_ends_well", claim, protocol, pairs, step=LATE)
        for protocol in (LOCAL_DELETION, GLOBAL_DELETION)
    ]


def _judge(
    curves: Curves,
    name: str,
    claim: str,
    protocol: str,
    pairs: Sequence[tuple[str, str]],
    *,
    step: str | None = None,
    margin: float = 0.0,
    within: bool = False,
    note: str = "",
) -> Finding:
    """A finding about the gain of first over second in all pairs; `within` the margin, or above minus it."""
    name, where = f"{name}:{protocol}", WHERE[protocol] + note
    if curves.last[protocol] == 0:
        return Finding(name, None, claim, f"{where} (all orders are equal at every step)", False)
    steps, every = curves.steps(protocol, step), []
    for first, second in pairs:
        mean, low, high = interval(curves.gain(protocol, first, second, steps))
        holds = small(low, high, margin) if within else positive(low, high, margin)
        if margin == 0:  # a claim that the first is better
            holds = sizeable(holds, mean, curves.margin)
        every.append(Compared(first, second, holds, mean, low, high))
    decisive = _decisive(every)
    return Finding(name, decisive.holds, claim, f"{where} ({_numbers(decisive, steps, margin, within)})")


def _decisive(every: Sequence[Compared]) -> Compared:
    """The comparison that a finding on all of them hangs on: the worst that fails, is undecided, or holds."""
    failed = [c for c in every if c.holds is False]
    undecided = [c for c in every if c.holds is None]
    if failed:
        return min(failed, key=lambda c: c.high)
    return min(undecided or every, key=lambda c: c.mean if np.isnan(c.low) else c.low)


def _numbers(found: Compared, steps: range, margin: float, within: bool) -> str:
    first, second = NAMES[found.first], NAMES[found.second]
    when = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
    reach = "one class, no interval" if np.isnan(found.low) else f"[{found.low:+.4f}, {found.high:+.4f}]"
    better = f", {first if found.mean > 0 else second} is better" if within and found.holds is False else ""
    allowed = f", allowed {'±' if within else '−'}{margin:.4f}" if margin else ""
    return f"{first} over {second}, {when}: {found.mean:+.4f} {reach} of y{allowed}{better}"
