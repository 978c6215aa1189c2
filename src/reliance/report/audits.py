"""What the page of an audited variant says about its probe."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from reliance.audits.accuracy import MANY, Drop
from reliance.audits.findings import findings, gain_of, name_of, percent
from reliance.audits.schema import (
    ACCURACIES,
    AUDIT_KIND,
    AUDIT_SCHEMA,
    INCREASED,
    PLAIN,
    RELEVANCES,
    ROBUST,
)
from reliance.base.artifacts import check_same, read_json, read_table
from reliance.base.claims import Finding


class AuditTables(NamedTuple):
    """An audit as read."""

    about: dict[str, Any]  # audit.json
    accuracies: pd.DataFrame
    relevances: pd.DataFrame


def read_audit(audit: Path, accuracies: Path, relevances: Path) -> AuditTables:
    """Read an audit; raises RelianceError if the three files do not belong together."""
    about, stamp = read_json(audit, AUDIT_KIND, AUDIT_SCHEMA)
    tested, explained = read_table(accuracies, ACCURACIES), read_table(relevances, RELEVANCES)
    check_same("accuracies", (audit, stamp.inputs["accuracies"]), (accuracies, tested.stamp.id))
    check_same("probe", (audit, stamp.inputs["probe"]), (relevances, explained.stamp.inputs["probe"]))
    return AuditTables(about, tested.frame, explained.frame)


def audit_findings(tables: AuditTables) -> list[Finding]:
    """What the paper found in its case study, held against this audit."""
    return findings(tables.accuracies, tables.relevances, tables.about)


def headline(tables: AuditTables) -> str:
    """The outcome of the audit in one or two sentences."""
    about = tables.about
    label = f" ({about['label']})" if about["label"] else ""
    said = (
        f"A linear probe that tells {about['names'][0]} from {about['names'][1]} was audited: "
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
