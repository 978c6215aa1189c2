"""From failure to repair: families of units, cases of these, proof, repairs, the mended classifier."""

from collections.abc import Sequence
from pathlib import Path

from reliance.config.sites import HEAD
from reliance.plan import paths
from reliance.plan.attribution import explained
from reliance.plan.failures import mining
from reliance.plan.naming import labels
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.robustness import PROMPT_SETS
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS


def to_group(plan: Plan, w: Wildcards) -> Paths:
    """What units are compared by."""
    plan.sae(w.variant)
    return {
        "codes": at(paths.CODES, variant=w.variant, split="train"),
        "sae": at(paths.SAE, variant=w.variant),
        "top_samples": at(paths.TOP_SAMPLES, variant=w.variant),
        "labels": labels(plan, w.variant, "train")["labels"],
    }


def grouping(plan: Plan, w: Wildcards) -> Values:
    """When units are one family."""
    sections = plan.config.repair, plan.config.naming
    return {**some(sections[0], "cuts", "shortlist", "largest"), **some(sections[1], "top_n")}


def to_mine(plan: Plan, w: Wildcards) -> Paths:
    """What the training images are explained from, and the families."""
    return {**explained(plan, w.variant, "train"), "families": at(paths.FAMILIES, variant=w.variant)}


def mining_families(plan: Plan, w: Wildcards) -> Values:
    """When reliance counts as unexpected, of units and families."""
    return {**mining(plan, w), **some(plan.config.repair, "contrastive")}


def to_list(plan: Plan, w: Wildcards) -> Paths:
    """What was flagged, and what its images are."""
    texts = ("short", "extended", "words")
    return {
        **labels(plan, w.variant, "train"),
        **{name: plan.path(paths.TEXT, w.variant, prompt_set=name) for name in texts},
        "outliers": at(paths.FAMILY_OUTLIERS, variant=w.variant),
        "outlier_samples": at(paths.FAMILY_SAMPLES, variant=w.variant),
        "confident": at(paths.CONFIDENT, variant=w.variant),
        "families": at(paths.FAMILIES, variant=w.variant),
        "codes": at(paths.CODES, variant=w.variant, split="train"),
        "index": plan.path(paths.INDEX, w.variant),
        "classes": plan.path(paths.CLASSES, w.variant),
        "top_samples": at(paths.TOP_SAMPLES, variant=w.variant),
        "components": at(paths.COMPONENTS, variant=w.variant),
        "embeddings": plan.embedded(w.variant, "train"),
    }


def listing(plan: Plan, w: Wildcards) -> Values:
    """How flags become cases."""
    v = plan.variant(w.variant)
    rules = some(v.failures, "every_nth", "max_cases_per_class", "overlap", "min_samples")
    own = some(plan.config.repair, "min_hit_rate")
    return {"dataset": v.dataset, **rules, **own, **some(plan.config.naming, "top_n")}


def listed(variant: str) -> Paths:
    """The cases."""
    names = {"cases": paths.FAMILY_CASES, "carriers": paths.CARRIERS, "case_images": paths.CASE_IMAGES}
    return {name: at(path, variant=variant) for name, path in {**names, "confident": paths.CONFIDENT}.items()}


def to_prove(plan: Plan, w: Wildcards) -> Paths:
    """The cases, and what units are removed from."""
    seen = {**labels(plan, w.variant, "train"), "classes": plan.path(paths.CLASSES, w.variant)}
    names = {"families": paths.FAMILIES, "components": paths.COMPONENTS}
    files = {name: at(path, variant=w.variant) for name, path in names.items()}
    return {**explained(plan, w.variant, "train"), **listed(w.variant), **seen, **files}


def proving(plan: Plan, w: Wildcards) -> Values:
    """Which images, and how chance is drawn."""
    rules = some(plan.variant(w.variant).failures, "every_nth", "confidence_std")
    return {**rules, **some(plan.config.repair, "draws", "seed"), **plan.compute}


def to_try(plan: Plan, w: Wildcards) -> Paths:
    """The cases, and texts that may serve better."""
    sets = {name: plan.path(paths.TEXT, w.variant, prompt_set=name) for name in PROMPT_SETS}
    names = {"names": plan.path(paths.TEXT, w.variant, prompt_set="vocabulary")}
    return {
        **explained(plan, w.variant, "train"),
        **listed(w.variant),
        **sets,
        **names,
        **own(plan, w.variant),
    }


def own(plan: Plan, variant: str) -> Paths:
    """A user's prompts, if there is such a file."""
    if not Path(at(paths.OWN_PROMPTS, variant=variant)).exists():
        return {}
    return {"own": at(paths.OWN_TEXT, variant=variant)}


def trying(plan: Plan, w: Wildcards) -> Values:
    """Which images, and what a repair may cost."""
    every_nth = some(plan.variant(w.variant).failures, "every_nth")
    return {**every_nth, **some(plan.config.repair, "seed", "most_loss"), **plan.compute}


def to_export(plan: Plan, w: Wildcards) -> Paths:
    """What was tried, and what it is put together from."""
    sets = {name: plan.path(paths.TEXT, w.variant, prompt_set=name) for name in PROMPT_SETS}
    return {
        **sets,
        **own(plan, w.variant),
        "text": explained(plan, w.variant, "train")["text"],
        "repairs": at(paths.REPAIRS, variant=w.variant),
        "vectors": at(paths.REPAIR_VECTORS, variant=w.variant),
        "classes": plan.path(paths.CLASSES, w.variant),
        "index": plan.path(paths.INDEX, w.variant),
        "embeddings": plan.embedded(w.variant, "train"),
    }


def to_embed(plan: Plan, w: Wildcards) -> Paths:
    """A user's prompts, and the text tower."""
    path = at(paths.OWN_PROMPTS, variant=w.variant)
    return {
        **({"prompts": plan.users(path)} if Path(path).exists() else {}),
        "classes": plan.path(paths.CLASSES, w.variant),
        "weights": plan.path(paths.WEIGHTS, w.variant),
    }


def to_compare(plan: Plan, w: Wildcards) -> Paths:
    """Groups of images, and both classifiers."""
    return {
        "index": plan.path(paths.INDEX, w.variant),
        "groups": plan.path(paths.GROUPS, w.variant),
        "embeddings": plan.embedded(w.variant, "test"),
        "text": explained(plan, w.variant, "train")["text"],
        "classifier": at(paths.REPAIRED, variant=w.variant),
        "edits": at(paths.REPAIRED_EDITS, variant=w.variant),
        "cases": at(paths.FAMILY_CASES, variant=w.variant),
        "case_images": at(paths.CASE_IMAGES, variant=w.variant),
    }


def tried(plan: Plan, names: Sequence[str]) -> Paths:
    """What was tried against the cases of a variant."""
    return {"repairs": at(paths.REPAIRS, variant=names[0])}


def covered(plan: Plan, names: Sequence[str]) -> Paths:
    """How much the cases of a variant explain, and what its classes are called."""
    files = {"coverage": at(paths.COVERAGE, variant=names[0])}
    return {**files, "classes": plan.path(paths.CLASSES, names[0])}


def closed(plan: Plan) -> str:
    """Pattern of the variants with a closed form behind their site."""
    return plan.behind(HEAD)


STAGES = (
    Stage(
        name="group_units",
        entry="reliance.repair.families:group_units",
        inputs=to_group,
        outputs={"families": paths.FAMILIES},
        settings=grouping,
        untracked=in_blocks,
        memory=lambda s: 3000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.latents / 2000,
        message="Grouping the components of {wildcards.variant} that stand for one thing",
    ),
    Stage(
        name="mine_families",
        entry="reliance.repair.mining:mine_families",
        also=(KINDS["sae"],),
        inputs=to_mine,
        outputs={
            "outliers": paths.FAMILY_OUTLIERS,
            "outlier_samples": paths.FAMILY_SAMPLES,
            "confident": paths.CONFIDENT,
        },
        variants=closed,
        settings=mining_families,
        untracked=in_blocks,
        memory=lambda s: 4000 + 1.5e-4 * s.classes * s.latents,
        minutes=lambda s: 30 + s.train * s.classes / 3e6,
        threads=True,
        gpu=True,
        message="Looking for reliance nobody expected in families of {wildcards.variant}",
    ),
    Stage(
        name="list_family_cases",
        entry="reliance.repair.cases:list_family_cases",
        inputs=to_list,
        outputs={
            "cases": paths.FAMILY_CASES,
            "carriers": paths.CARRIERS,
            "case_images": paths.CASE_IMAGES,
        },
        variants=closed,
        settings=listing,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.003 * s.train,
        minutes=30,
        message="Listing the failure cases of {wildcards.variant} with their families",
    ),
    Stage(
        name="prove_cases",
        entry="reliance.repair.proof:prove_cases",
        also=(KINDS["sae"],),
        inputs=to_prove,
        outputs={
            "proof": paths.PROOF,
            "coverage": paths.COVERAGE,
            "accounted": paths.ACCOUNTED,
            "shared": paths.SHARED,
            "unexplained": paths.UNEXPLAINED,
        },
        variants=closed,
        settings=proving,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.02 * s.train,
        minutes=lambda s: 20 + s.classes / 5,
        threads=True,
        message="Removing what carries the failure cases of {wildcards.variant}",
    ),
    Stage(
        name="try_repairs",
        entry="reliance.repair.trials:try_repairs",
        also=(KINDS["sae"],),
        inputs=to_try,
        outputs={"repairs": paths.REPAIRS, "vectors": paths.REPAIR_VECTORS},
        variants=closed,
        settings=trying,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.02 * s.train,
        minutes=lambda s: 20 + s.classes / 2,
        threads=True,
        message="Trying repairs of the failure cases of {wildcards.variant}",
    ),
    Stage(
        name="export_repair",
        entry="reliance.repair.export:export_repair",
        inputs=to_export,
        outputs={
            "classifier": paths.REPAIRED,
            "prompts": paths.REPAIRED_PROMPTS,
            "edits": paths.REPAIRED_EDITS,
        },
        variants=closed,
        memory=3000,
        minutes=10,
        message="Writing the mended classifier of {wildcards.variant}",
    ),
    Stage(
        name="score_groups",
        entry="reliance.repair.group_data:score_groups",
        inputs=to_compare,
        outputs={"scores": paths.GROUP_SCORES},
        variants=closed,
        memory=3000,
        minutes=10,
        message="Comparing groups of images of {wildcards.variant}, before and after the repairs",
    ),
    Stage(
        name="embed_own_prompts",
        entry="reliance.repair.own_prompts:embed_own_prompts",
        inputs=to_embed,
        outputs={"text": paths.OWN_TEXT},
        settings=lambda plan, w: {"device": plan.config.compute.device},
        memory=4000,
        minutes=10,
        gpu=True,
        message="Embedding the prompts of config/prompts for {wildcards.variant}",
    ),
)
