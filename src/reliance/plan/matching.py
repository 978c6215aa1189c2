"""Units of the variants of a comparison, found in each other."""

from reliance.base.errors import RelianceError
from reliance.config.sites import SITES, kind_of
from reliance.plan import paths
from reliance.plan.faithfulness import BASES, of
from reliance.plan.naming import components_of
from reliance.plan.paths import Wildcards, at, base_name, beside, each
from reliance.plan.persisting import mining
from reliance.plan.plan import Plan
from reliance.plan.planted import drawn
from reliance.plan.report import of_planted_data
from reliance.plan.stage import Paths, Stage, Values
from reliance.units.sae.activations import ENCODERS


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


def to_persist(plan: Plan, w: Wildcards) -> Paths:
    """Matches of units, and the cases of the variants that mine their own."""
    members(plan, w.comparison)
    return {
        "matches": at(paths.MATCHES, comparison=w.comparison),
        "failures": each(paths.FAILURES, mining(plan, w.comparison)),
    }


def to_judge(plan: Plan, w: Wildcards) -> Paths:
    """A dictionary of a variant, and the test images that it is judged on."""
    v, name = plan.variant(w.variant), w.variant
    plan.check_classes(v.dataset)
    labeller, site = plan.labeller(name), plan.labelled_at(name)
    files: Paths = {
        "embeddings": plan.embedded(name, "test"),
        "fitted": plan.embedded(name, "train"),
        "labels": plan.embeddings(labeller, site, v.dataset, "test"),
        "index": plan.path(paths.INDEX, name),
        "sae": at(paths.SAE, variant=name),
        "quality": at(paths.SAE_QUALITY, variant=name),
        "text": plan.path(paths.TEXT, name, prompt_set=v.failures.prompt_set),
        "words": plan.path(paths.TEXT, name, prompt_set="vocabulary"),
    }
    if not SITES[kind_of(v.site)].tail:
        files["head"] = plan.path(paths.HEAD, name)
    return files


def to_score_units(plan: Plan, w: Wildcards) -> Paths:
    """A dictionary of a variant, and what was planted."""
    files = drawn(plan, plan.variant(w.variant).dataset, "truth", "plants")
    planted = {"truth_table": files["truth"], "plants": files["plants"]}
    return {**to_judge(plan, w), **planted, "classes": plan.path(paths.CLASSES, w.variant)}


def untrained(plan: Plan, names: list[str]) -> list[tuple[str, str]]:
    """(variant, basis) of the dictionaries that nobody trained, once per encoder and site."""
    first = {(plan.variant(n).encoder, plan.variant(n).site): n for n in reversed(names)}
    chosen = [name for name in names if name in first.values()]
    return [(name, basis) for name in chosen for basis in ("neurons", "pca", "vocabulary")]


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
        "sure": each(paths.NAME_STABILITY, names),
        **of_classes(plan, names),
    }


def of_classes(plan: Plan, names: list[str]) -> Paths:
    """What is known of dictionaries on images with classes, and of those that nobody trained."""
    if not plan.labelled(plan.variant(names[0]).dataset):
        return {}
    others = untrained(plan, names)
    axes = [pair for pair in others if pair[1] in BASES]
    planted = plan.dataset(plan.variant(names[0]).dataset).planted
    scored = planted is not None and planted.world == "objects"
    return {
        "purities": each(paths.PURITY, names, basis="sae") if scored else [],
        "other_purities": [at(paths.PURITY, variant=name, basis=basis) for name, basis in others * scored],
        "judged": each(paths.JUDGED, names, basis="sae"),
        "curves": each(paths.FAITHFULNESS, names),
        "others": [at(paths.JUDGED, variant=name, basis=basis) for name, basis in others],
        "other_components": [at(components_of(basis, "train"), variant=name) for name, basis in axes],
        "other_curves": [at(of(paths.BASIS_FAITHFULNESS, basis), variant=name) for name, basis in axes],
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
        "bases": [list(pair) for pair in untrained(plan, names)] if of_classes(plan, names) else [],
        "images": plan.config.matching.images,
    }


def described(plan: Plan, w: Wildcards) -> list[str]:
    """What opens the variants for questions, and for export."""
    return [at(paths.DESCRIPTION, variant=name) for name in members(plan, w.comparison)]


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
        name="persist_failures",
        entry="reliance.matching.persistence:persist_failures",
        inputs=to_persist,
        outputs={"persistence": paths.PERSISTENCE},
        settings=lambda plan, w: {
            "variants": mining(plan, w.comparison),
            "found_again": plan.config.matching.found_again,
        },
        memory=2000,
        minutes=5,
        message="Looking for the failure cases of each variant of {wildcards.comparison} in the others",
    ),
    Stage(
        name="judge_dictionary",
        entry="reliance.matching.judged:judge_dictionary",
        also=tuple(ENCODERS.values()),
        inputs=to_judge,
        outputs={"judged": paths.JUDGED},
        constraints={"basis": "sae|neurons|pca|vocabulary"},
        settings=lambda plan, w: {"basis": w.basis},
        memory=lambda s: 6000 + 0.1 * s.latents,
        minutes=30,
        message="Judging {wildcards.basis} of {wildcards.variant} as a dictionary",
    ),
    Stage(
        name="score_units",
        entry="reliance.planted.purity:score_units",
        also=tuple(ENCODERS.values()),
        inputs=to_score_units,
        outputs={"purity": paths.PURITY},
        constraints={"basis": "sae|neurons|pca|vocabulary"},
        settings=lambda plan, w: {"basis": w.basis, "min_active": plan.config.naming.min_active},
        memory=lambda s: 6000 + 0.1 * s.latents,
        minutes=10,
        message="Holding {wildcards.basis} of {wildcards.variant} against what was planted",
    ),
    Stage(
        name="compare_dictionaries",
        entry="reliance.report.dictionaries:compare_dictionaries",
        inputs=to_compare,
        along=described,
        outputs={"page": paths.DICTIONARIES, "csv": paths.DICTIONARIES_TABLE},
        beside=beside(paths.DICTIONARIES, paths.DICTIONARIES_TABLE),
        settings=comparing,
        memory=8000,
        minutes=20,
        message="Comparing the dictionaries of {wildcards.comparison}",
    ),
)
