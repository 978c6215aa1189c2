"""Which findings of the paper on faithfulness the curves bear out (Sec. 5.1, App. B.2).

Two methods are compared by the gain of the first: by how much its output is lower in deletion, or
higher in insertion, on average over steps or at one step. The gain is paired over the subsets of images,
and a finding holds if its 95 % interval (Student's t) lies on the paper's side, fails if it lies on the
other, and is undecided otherwise. Which method is the best or worst of several is decided by the means.
Frozen error term; local orders over the active latents.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

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
from reliance.faithfulness.summary import by_subset
from reliance.findings import Finding, positive, small
from reliance.means import interval

MARGIN = 0.01  # a share of the clean output that is called small
GRADIENTS = ("act_x_grad", "integrated_gradients")
OTHERS = ("act_x_lens", "logit_lens", "energy", "random")
NAMES = {
    "act_x_grad": "act x grad",
    "ablation": "ablation",
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
LATE, EARLY = "last step", "first step"


class Curves:
    """The curves of a faithfulness table that findings look at."""

    def __init__(self, frame: pd.DataFrame) -> None:
        local = frame["protocol"].isin((LOCAL_DELETION, LOCAL_INSERTION))
        kept = frame[(frame["error_term"] == FROZEN) & (frame["restrict_to_active"] | ~local)]
        self._frame = kept.assign(error_term="", restrict_to_active=True)
        self.last = int(frame["step"].max())
        self._means: dict[int | None, pd.DataFrame] = {}
        self.margin = MARGIN * float(self.y(LOCAL_DELETION, "act_x_grad", 0).mean())

    def y(self, protocol: str, method: str, step: int | None = None) -> np.ndarray:
        """Mean output by subset [K], over all steps or at one."""
        if step not in self._means:
            self._means[step] = by_subset(self._frame, step)
        found: np.ndarray = self._means[step][protocol, method, "", True].to_numpy()
        return found

    def gain(self, protocol: str, first: str, second: str, step: int | None = None) -> np.ndarray:
        """By how much `first` is the more faithful, by subset [K]."""
        sign = 1 if protocol == LOCAL_INSERTION else -1
        difference = self.y(protocol, first, step) - self.y(protocol, second, step)
        gain: np.ndarray = sign * np.round(difference, 12)  # rounding differs the same way in all subsets
        return gain

    def best(self, protocol: str, methods: Sequence[str], worst: bool = False) -> str:
        """The most (or least) faithful of some methods by their means."""
        sign = (1 if protocol == LOCAL_INSERTION else -1) * (-1 if worst else 1)
        return max(methods, key=lambda method: sign * self.y(protocol, method).mean())


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
    claim = "orders by gradients are at least as faithful as the others (up to 1 % of the output)"
    found = []
    for protocol in (LOCAL_DELETION, GLOBAL_DELETION, LOCAL_INSERTION):
        pair = curves.best(protocol, GRADIENTS), curves.best(protocol, OTHERS)
        found.append(_judge(curves, "gradients_lead", claim, protocol, pair, margin=curves.margin))
    return found


def _random_is_worst(curves: Curves) -> list[Finding]:
    claim = "a random order is the least faithful"
    found = []
    for protocol in PROTOCOLS:
        rest = [method for method in METHODS if method != "random"]
        pair = curves.best(protocol, rest, worst=True), "random"
        found.append(_judge(curves, "random_is_worst", claim, protocol, pair))
    return found


def _energy_starts_badly(curves: Curves) -> list[Finding]:
    claim = "energy is weak at the first step"
    pair = "act_x_grad", "energy"
    return [_judge(curves, "energy_starts_badly", claim, LOCAL_DELETION, pair, step=EARLY)]


def _lens_leads_with_reference(curves: Curves) -> list[Finding]:
    claim = "Logit Lens, which needs no reference, is best when the reference is random"
    rest = [method for method in METHODS if method != "logit_lens"]
    pair = "logit_lens", curves.best(REFERENCE_DELETION, rest)
    return [_judge(curves, "lens_leads", claim, REFERENCE_DELETION, pair)]


def _act_x_lens(curves: Curves) -> list[Finding]:
    same = "act x Logit Lens is as good as act x grad in deletion (within 1 % of the output)"
    worse = "act x Logit Lens is worse than act x grad in insertion"
    pair = "act_x_grad", "act_x_lens"
    name = "act_x_lens"
    return [
        _judge(curves, name, same, LOCAL_DELETION, pair, margin=curves.margin, within=True),
        _judge(curves, name, same, GLOBAL_DELETION, pair, margin=curves.margin, within=True),
        _judge(curves, name, worse, LOCAL_INSERTION, pair),
    ]


def _integrated_ends_well(curves: Curves) -> list[Finding]:
    claim = "Integrated Gradients are better than act x grad once many latents are deleted"
    pair = "integrated_gradients", "act_x_grad"
    return [
        _judge(curves, "integrated_ends_well", claim, protocol, pair, step=LATE)
        for protocol in (LOCAL_DELETION, GLOBAL_DELETION)
    ]


def _judge(
    curves: Curves,
    name: str,
    claim: str,
    protocol: str,
    pair: tuple[str, str],
    *,
    step: str | None = None,
    margin: float = 0.0,
    within: bool = False,
) -> Finding:
    """A finding about the gain of pair[0] over pair[1]; `within` the margin, or above minus it."""
    gains = curves.gain(protocol, *pair, {None: None, EARLY: min(1, curves.last), LATE: curves.last}[step])
    mean, low, high = interval(gains)
    holds = small(low, high, margin) if within else positive(low, high, margin)
    reach = "one subset, no interval" if len(gains) == 1 else f"[{low:+.4f}, {high:+.4f}]"
    against = f"{NAMES[pair[0]]} over {NAMES[pair[1]]}" + (f", {step}" if step else "")
    numbers = f"{WHERE[protocol]} ({against}: {mean:+.4f} {reach} of y)"
    return Finding(f"{name}:{protocol}", holds, claim, numbers)
