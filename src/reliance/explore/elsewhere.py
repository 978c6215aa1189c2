"""The same unit in other variants, looked up in the matches of every comparison that was built."""

from typing import NamedTuple

from reliance.base.artifacts import Stamp
from reliance.base.stamps import read_stamp
from reliance.explore.lookup import each, rows_where
from reliance.explore.shelf import Shelf
from reliance.matching.schema import MATCHES
from reliance.naming.table import COMPONENTS


class Elsewhere(NamedTuple):
    """A unit of this variant in another one."""

    comparison: str  # that says so
    variant: str
    component: int  # the most correlated one there
    name: str  # "" if it has none, or if it is not known
    correlation: float
    mutual: bool  # whether this unit is the most correlated one of that one, too
    matched: bool  # whether the one-to-one assignment pairs them


def elsewhere(shelf: Shelf, component: int) -> list[Elsewhere]:
    """The most correlated unit of every other variant, once each, the most correlated first.

    Of several comparisons with the same variant the first by name counts; matches of codes that are no longer
    those of this variant do not. Raises RelianceError for matches that are damaged.
    """
    found: dict[str, Elsewhere] = {}
    for path in sorted(shelf.results.glob("compare/*/matches.parquet")):
        frame, stamp = rows_where(path, MATCHES, {"variant": [shelf.variant], "component": [component]})
        if not _current(shelf, stamp):
            continue
        for row in each(frame[frame["nearest"] >= 0]):
            if row.other in found:
                continue
            there = int(row.nearest)
            found[row.other] = Elsewhere(
                path.parent.name,
                row.other,
                there,
                _name(shelf, row.other, there),
                float(row.nearest_correlation),
                bool(row.mutual),
                int(row.match) == there,
            )
    return sorted(found.values(), key=lambda one: (-one.correlation, one.variant))


def _name(shelf: Shelf, variant: str, component: int) -> str:
    path = shelf.results / variant / "components.parquet"
    if not path.exists():
        return ""
    frame, _ = rows_where(path, COMPONENTS, {"component": [component]}, ["label"])
    return str(frame["label"].iloc[0]) if len(frame) else ""


def _current(shelf: Shelf, stamp: Stamp) -> bool:
    """Whether matches are of the variant's codes as they are now."""
    variants = list(stamp.params["variants"])
    if shelf.variant not in variants:
        return False
    made = stamp.inputs[f"codes_{variants.index(shelf.variant)}"]
    splits = [split for split in ("train", "test") if shelf.has("codes", split)]
    return not splits or made in {read_stamp(shelf.path("codes", split)).id for split in splits}
