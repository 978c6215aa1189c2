"""Findings as the page and its JSON show them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reliance.base.artifacts import Stamp, derived_stamp, write_json
from reliance.base.claims import VERDICTS, Finding

SCHEMA = 1


def verdicts(found: Sequence[Finding]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Per claim: its words, and (verdict, numbers) wherever it was looked at and there was something."""
    found = [f for f in found if f.seen]
    claims = dict.fromkeys(f.claim for f in found)
    return [(c, [(VERDICTS[f.holds], f.numbers) for f in found if f.claim == c]) for c in claims]


def count(found: Mapping[str, Sequence[Finding]], holds: bool | None) -> int:
    """How many findings have this verdict."""
    return sum(f.holds is holds and f.seen for part in found.values() for f in part)


def write_findings(path: Path, found: Mapping[str, Sequence[Finding]], stamp: Stamp) -> None:
    """Write the findings of every topic as JSON."""
    record = {
        topic: [
            {"name": f.name, "verdict": VERDICTS[f.holds], "claim": f.claim, "numbers": f.numbers}
            for f in part
        ]
        for topic, part in found.items()
    }
    write_json(path, {"findings": record}, derived_stamp("findings", SCHEMA, stamp.params, stamp.inputs))
