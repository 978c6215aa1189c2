"""Units of the variants of a comparison, found in each other."""

from reliance.base.errors import RelianceError
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name, beside
from reliance.plan.plan import Plan, each
from reliance.plan.report import of_planted_data
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


def to_compare(plan: Plan, w: Wildcards) -> Paths:
    """What is known of each dictionary, and of all together."""
    names, split = members(plan, w.comparison), plan.config.matching.split
    labellers = [plan.labelled_at(name) for name in names]
    return {
        "qualities": each(paths.SAE_QUALITY, names),
        "components": each(paths.COMPONENTS, names),
        "codes": each(paths.CODES, names, split=split),
        "labels": [
            plan.embeddings(plan.labeller(name), site, plan.variant(name).dataset, split)
            for name, site in zip(names, labellers, strict=True)
        ],
        "stability": at(paths.STABILITY, comparison=w.comparison),
        "truths": each(paths.TRUTH, scored(plan, names)),
    }


def scored(plan: Plan, names: list[str]) -> list[str]:
    """Those whose failures are held against planted truth."""
    return [name for name in names if "truth" in of_planted_data(plan, name)]


def comparing(plan: Plan, w: Wildcards) -> Values:
    """Whose dictionaries, and what to call them."""
    names = members(plan, w.comparison)
    return {
        "variants": names,
        "kinds": [plan.sae(name).kind for name in names],
        "scored": scored(plan, names),
        "images": plan.config.matching.images,
    }


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
    Stage(
        name="compare_dictionaries",
        entry="reliance.report.dictionaries:compare_dictionaries",
        inputs=to_compare,
        outputs={"page": paths.DICTIONARIES, "csv": paths.DICTIONARIES_TABLE},
        beside=beside(paths.DICTIONARIES, paths.DICTIONARIES_TABLE),
        settings=comparing,
        memory=8000,
        minutes=20,
        message="Comparing the dictionaries of {wildcards.comparison}",
    ),
)
