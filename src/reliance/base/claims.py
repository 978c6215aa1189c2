"""What the paper found, held against numbers: claims, verdicts, and how they are said."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

HELD = "What the paper found, held against these numbers"  # opens the findings in a caption
VERDICTS = {True: "holds", False: "does not hold", None: "undecided"}


class Finding(NamedTuple):
    """One finding of the paper, held against the numbers of one place (a group of cases, a protocol)."""

    name: str  # <claim>[:<where>...]
    holds: bool | None  # None: undecided
    claim: str  # what the paper found, in words, wherever it is looked at
    numbers: str  # where it was looked at, and the numbers with their interval
    seen: bool = True  # whether there was anything to look at

    @property
    def statement(self) -> str:
        """The finding as a sentence."""
        return f"{VERDICTS[self.holds]} {self.numbers}: {self.claim}"


def positive(low: float, high: float, margin: float = 0.0) -> bool | None:
    """Whether the interval [low, high] lies above -margin (True), below it (False), or neither (None)."""
    if np.isnan(low):
        return None
    return True if low > -margin else False if high < -margin else None


def small(low: float, high: float, margin: float) -> bool | None:
    """Whether the interval lies inside (-margin, margin), outside it, or neither."""
    if np.isnan(low):
        return None
    inside, outside = low > -margin and high < margin, low > margin or high < -margin
    return True if inside else False if outside else None


def sizeable(holds: bool | None, effect: float, least: float) -> bool | None:
    """A verdict, undecided where it would hold by an effect below what counts as one."""
    return None if holds and abs(effect) < least else holds


def larger_is_more(
    name: str, claim: str, values: Mapping[str, Sequence[float]], sizes: Sequence[float], least: float
) -> list[Finding]:
    """A claim about the size of models, as a finding; none if no two of them are known to differ in size.

    values : per model, numbers of which each is claimed to be larger for a larger model.
    sizes : of the models, in any unit; 0: unknown. least : by how much more, as a share, it must be.
    Of all pairs whose sizes differ by more than a tenth, it holds if the larger has more in three of four,
    and does not hold if it has less in every second.
    """
    known = [(s, v) for s, v in zip(sizes, values.values(), strict=True) if s > 0 and not np.isnan(v).any()]
    pairs = [(np.array(a), np.array(b)) for s, a in known for t, b in known if 1.1 * s < t]
    if not pairs:
        return []
    more = sum(bool((large > (1 + least) * small).all()) for small, large in pairs)
    less = sum(bool((large < small).any()) for small, large in pairs)
    holds = True if more >= 0.75 * len(pairs) else False if less >= 0.5 * len(pairs) else None
    numbers = (
        f"(in {more} of {len(pairs)} pairs of models of different size the larger has more, in {less} less)"
    )
    return [Finding(name, holds, claim, numbers)]


def bullets(found: Sequence[Finding]) -> str:
    """The findings as a Markdown list, one line per claim."""
    lines = []
    for claim in dict.fromkeys(f.claim for f in found):
        parts = [f"**{VERDICTS[f.holds]}** {f.numbers}" for f in found if f.claim == claim]
        lines.append(f"- {claim[0].upper()}{claim[1:]}: {'; '.join(parts)}.")
    return "\n".join(lines)
