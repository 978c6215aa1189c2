"""What the page of an audited variant says about its probe."""

from collections.abc import Mapping
from typing import Any

from reliance.audits.drops import MANY, Drop
from reliance.audits.findings import gain_of, name_of, percent
from reliance.audits.schema import (
    INCREASED,
    PLAIN,
    ROBUST,
)


def headline(about: Mapping[str, Any]) -> str:
    """The outcome of an audit (audit.json) in one or two sentences."""
    label = f" ({about['label']})" if about["label"] else ""
    given = about.get("probe_given")
    probe = f"The classifier in {given}" if given else "A linear probe"
    said = (
        f"{probe} that tells {about['names'][0]} from {about['names'][1]} was audited: "
        f"component #{about['component']}{label} is number {about['rank']} of what speaks for "
        f"{name_of(about, about['toward'])}, with {about['share']:.1f} % of the relevance. "
    )
    change = f"With the images changed ({gain_of(about, INCREASED)})"
    if about["shift"] <= 0:
        said += (
            f"{change} embeddings do not move along this component: what follows is about something else. "
        )
    if not about["claim"]:
        return said + f"{change} the accuracy of no class falls by more than {MANY:g} standard errors."
    side = about["fallen"]
    plain, robust = (percent(Drop(**about["drops"][probe][side])) for probe in (PLAIN, ROBUST))
    return said + (
        f"{change} the accuracy of {name_of(about, side)} falls by {plain.removeprefix('+')}: "
        "the probe relies on what the change alters. "
        f"That of the robust probe falls by {robust.removeprefix('+')}."
    )
