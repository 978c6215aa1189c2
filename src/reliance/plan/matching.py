"""Units of the variants of a comparison, found in each other."""

from reliance.base.errors import RelianceError
from reliance.plan import paths
from reliance.plan.paths import Wildcards, base_name
from reliance.plan.plan import Plan, each
from reliance.plan.stage import Paths, Stage, Values


def members(plan: Plan, name: str) -> list[str]:
    """The variants of a comparison with an SAE; at least two of one data set, or RelianceError is raised."""
    names = plan.with_sae(name)
    sets = {member: plan.variant(member).dataset for member in names}
    if len(names) < 2 or len(set(sets.values())) > 1:
        raise RelianceError(
            f"comparisons.{base_name(name)}",
            "units are matched by what they do on the same images",
            found=", ".join(f"{member} on {dataset}" for member, dataset in sets.items()),
            allowed="at least two variants with an SAE, on one data set",
            next_step="add another comparison of variants that share a data set",
        )
    return names


def to_match(plan: Plan, w: Wildcards) -> Paths:
    """Codes and SAEs."""
    names, split = members(plan, w.comparison), plan.config.matching.split
    return {"codes": each(paths.CODES, names, split=split), "saes": each(paths.SAE, names)}


def matching(plan: Plan, w: Wildcards) -> Values:
    """Whose units, and how."""
    chosen = plan.config.matching.model_dump(exclude={"split"})
    return {"variants": members(plan, w.comparison), **chosen}


STAGES = (
    Stage(
        name="match_units",
        entry="reliance.matching.matches:match_units",
        inputs=to_match,
        outputs={"matches": paths.MATCHES, "stability": paths.STABILITY},
        settings=matching,
        memory=8000,
        minutes=60,
        message="Matching units of the variants of {wildcards.comparison}",
    ),
)
