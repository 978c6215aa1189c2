"""Failures that persist from model to model: which variants are looked at, and where the answer lies."""

from reliance.base.errors import RelianceError
from reliance.plan import paths
from reliance.plan.paths import at, base_name
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths


def persistence(plan: Plan, comparison: str) -> Paths:
    """What becomes of the failure cases of each variant in the others."""
    return {"persistence": at(paths.PERSISTENCE, comparison=comparison)}


def mining(plan: Plan, comparison: str) -> list[str]:
    """The variants of a comparison whose failure cases are of their own units."""
    names = [name for name in plan.with_sae(comparison) if plan.variant(name).failures_from == name]
    if len(names) < 2:
        raise RelianceError(
            f"comparisons.{base_name(comparison)}",
            "failures persist from one model to another: both mine cases through units of their own",
            found=", ".join(names) or "no such variant",
            allowed="at least two variants with an SAE and without failures_from",
            next_step="add another comparison, of variants that mine their own cases",
        )
    return names
