"""Reliance that was not expected (Eq. 8): expectations, outliers, cases."""

from pathlib import Path

from reliance.plan import paths
from reliance.plan.attribution import by_tail, explained
from reliance.plan.naming import labels
from reliance.plan.paths import Wildcards, at, beside
from reliance.plan.plan import Plan, pattern, some
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS


def to_expect(plan: Plan, w: Wildcards) -> Paths:
    """What the images of the subset are attributed to."""
    plan.sae(w.variant)
    files = {"attributions": paths.ATTRIBUTIONS, "outputs": paths.OUTPUTS}
    return {name: at(path, variant=w.variant, attributed="subset") for name, path in files.items()}


def expecting(plan: Plan, w: Wildcards) -> Values:
    """What counts as relevance."""
    return some(plan.variant(w.variant).failures, "relevance")


def to_mine(plan: Plan, w: Wildcards) -> Paths:
    """What the training images are explained from, and what was expected."""
    return {**explained(plan, w.variant, "train"), "expectations": at(paths.EXPECTATIONS, variant=w.variant)}


def measuring(plan: Plan, w: Wildcards) -> Values:
    """Which relevances are expected of which images."""
    return {**some(plan.variant(w.variant).failures, "every_nth", "relevance"), **plan.compute}


def mining(plan: Plan, w: Wildcards) -> Values:
    """When reliance counts as unexpected."""
    tests = ("min_z", "min_samples", "confidence_std", "min_relevance", "max_q")
    section = plan.variant(w.variant).failures
    asked = {"contrastive": True} if section.contrastive else {}
    return {**some(section, "every_nth", "relevance", *tests), **asked, **plan.compute}


def to_list(plan: Plan, w: Wildcards) -> Paths:
    """What was flagged, what a kind is suggested from, and a review if somebody wrote one."""
    return {
        **labels(plan, w.variant, "train"),
        **review(plan, w.variant),
        "outliers": at(paths.OUTLIERS, variant=w.variant),
        "outlier_samples": at(paths.OUTLIER_SAMPLES, variant=w.variant),
        "index": plan.path(paths.INDEX, w.variant),
        "classes": plan.path(paths.CLASSES, w.variant),
        "top_samples": at(paths.TOP_SAMPLES, variant=w.variant),
        "components": at(paths.COMPONENTS, variant=w.variant),
        "embeddings": plan.embedded(w.variant, "train"),
        **{
            name: plan.path(paths.TEXT, w.variant, prompt_set=name) for name in ("short", "extended", "words")
        },
    }


def review(plan: Plan, variant: str) -> Paths:
    """The review file of a variant: a user's own file, read if there is one."""
    path = at(paths.REVIEW, variant=variant)
    if not Path(path).exists():
        return {}
    from reliance.failures.reviews import read_reviews  # with pandas: only where there is such a file

    read_reviews(path, None)
    return {"review": plan.users(path)}


def listing(plan: Plan, w: Wildcards) -> Values:
    """How flags become cases."""
    v = plan.variant(w.variant)
    return {
        "dataset": v.dataset,
        **some(v.failures, "every_nth", "max_cases_per_class", "overlap"),
        **some(plan.config.naming, "top_n"),
    }


def expected_by(plan: Plan, contrastive: bool) -> str:
    """Pattern of the variants whose expectations are of contrastive relevances, or of plain ones."""
    kinds = {name: str(plan.config.failures_of(name).contrastive) for name in plan.config.variants}
    return pattern(kinds, str(contrastive), str(False))


def both(one: str, other: str) -> str:
    """The pattern of names that two patterns allow."""
    return f"(?={one}/){other}"


def of_contrastive(stage: Stage) -> Stage:
    """A stage for those of its variants that mine contrastive relevances."""
    own = stage.variants

    def variants(plan: Plan) -> str:
        return both(own(plan) if own else paths.CONSTRAINTS["variant"], expected_by(plan, contrastive=True))

    return stage._replace(variants=variants)


STAGES = (
    Stage(
        name="expectations",
        entry="reliance.failures.expectation:expectations",
        inputs=to_expect,
        outputs={"expectations": paths.EXPECTATIONS},
        variants=lambda plan: expected_by(plan, contrastive=False),
        settings=expecting,
        memory=lambda s: 2000 + 8e-5 * s.classes * s.latents,
        minutes=lambda s: 10 + s.train / 100000,
        message="Estimating what each class of {wildcards.variant} is expected to rely on",
    ),
    *map(
        of_contrastive,
        by_tail(
            Stage(
                name="expectations_of_contrasts",
                entry="reliance.failures.measured:contrastive_expectations",
                also=(KINDS["sae"],),
                inputs=lambda plan, w: explained(plan, w.variant, "train"),
                outputs={"expectations": paths.EXPECTATIONS},
                settings=measuring,
                untracked=in_blocks,
                memory=lambda s: 4000 + 1e-4 * s.classes * s.latents,
                minutes=lambda s: 20 + s.train / 25000,
                threads=True,
                gpu=True,
                message="Measuring what each class of {wildcards.variant} relies on beyond all others",
            )
        ),
    ),
    *by_tail(
        Stage(
            name="mine_outliers",
            entry="reliance.failures.outliers:mine_outliers",
            also=(KINDS["sae"],),
            inputs=to_mine,
            outputs={"outliers": paths.OUTLIERS, "outlier_samples": paths.OUTLIER_SAMPLES},
            settings=mining,
            untracked=in_blocks,
            memory=lambda s: 4000 + 1e-4 * s.classes * s.latents,
            minutes=lambda s: 20 + s.train * s.classes / 1e7,
            threads=True,
            gpu=True,
            message="Looking for reliance nobody expected in {wildcards.variant}",
        )
    ),
    Stage(
        name="list_cases",
        entry="reliance.failures.cases:list_cases",
        inputs=to_list,
        outputs={"failures": paths.FAILURES, "failure_samples": paths.FAILURE_SAMPLES},
        beside=beside(paths.FAILURES),
        settings=listing,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.003 * s.train,
        minutes=30,
        message="Listing the failure cases of {wildcards.variant}",
    ),
)
