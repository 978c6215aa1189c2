"""What stands in the cells of an answer: numbers, shares, and units, classes and cases in a few words."""

import numpy as np

from reliance.explore.briefs import Brief, Fooled, Served
from reliance.naming.stability import said


def number(value: float, digits: int, sign: bool = False) -> str:
    """A number with so many digits behind the point; nothing for one that is not known."""
    if value is None or not np.isfinite(value):
        return ""
    return f"{value:{'+' if sign else ''}.{digits}f}"


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.1f} %" if np.isfinite(share) else ""


def sure(about: Brief) -> str:
    """How sure the name of a unit is."""
    toss = " coin toss" if said(about.name, about.confidence, about.rival) else ""
    return f"{about.confidence:.0%}{toss}" if np.isfinite(about.confidence) else ""


def serving(classes: list[Served]) -> str:
    """The class that a unit adds most to, and how many others it serves."""
    return classes[0].name if classes else ""


def fooling(cases: list[Fooled]) -> str:
    """Failure cases in a row."""
    return ", ".join(f"{case.failure_id} ({case.kind} of {case.name})" for case in cases)
