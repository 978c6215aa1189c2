"""What the page of an audited variant says about its probe."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reliance.audits.doubts import balanced, doubts, told
from reliance.audits.drops import MANY, Drop
from reliance.audits.findings import gain_of, name_of, percent
from reliance.audits.schema import (
    INCREASED,
    PLAIN,
    ROBUST,
)


def headline(about: Mapping[str, Any], accuracies: pd.DataFrame) -> str:
    """The outcome of an audit (audit.json, columns of ACCURACIES) in some sentences."""
    label = f" ({about['label']})" if about["label"] else ""
    given = about.get("probe_given")
    probe = f"The classifier in {given}" if given else "A linear probe"
    said = (
        f"{probe} that tells {about['names'][0]} from {about['names'][1]} was audited: "
        f"component #{about['component']}{label} is number {about['rank']} of what speaks for "
        f"{name_of(about, about['toward'])}, with {about['share']:.1f} % of the relevance. "
    )
    both = told(accuracies, about)
    right = " and ".join(f"{one.accuracy:.0%} of {one.n} of {one.name}" for one in both)
    said += f"Of held-out images as they are it is right for {right}, {balanced(both)[0]:.0%} in the mean. "
    doubted = doubts(accuracies, about)
    if doubted.test:
        return said + "There is no verdict: see the warnings above."
    change = f"With the images changed ({gain_of(about, INCREASED)})"
    if about["shift"] <= 0:
        said += (
            f"{change} embeddings do not move along this component: what follows is about something else. "
        )
    if not about["claim"]:
        return said + f"{change} the accuracy of no class falls by more than {MANY:g} standard errors."
    side = about["fallen"]
    plain, robust = (percent(Drop(**about["drops"][probe][side])) for probe in (PLAIN, ROBUST))
    said += (
        f"{change} the accuracy of {name_of(about, side)} falls by {plain.removeprefix('+')}: "
        "the probe relies on what the change alters. "
    )
    if doubted.direction:
        return said + "There is no verdict on the robust probe: see the warnings above."
    return said + f"That of the robust probe falls by {robust.removeprefix('+')}."
