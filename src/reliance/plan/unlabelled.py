"""Pages beside the main one: of a variant whose images have no classes, and of repairs."""

from reliance.plan import paths
from reliance.plan.figures import reading, strongest_images
from reliance.plan.images import has_attributes
from reliance.plan.paths import Wildcards, at, beside, sheet
from reliance.plan.plan import Plan
from reliance.plan.report import chosen, described
from reliance.plan.stage import Paths, Stage, Values

FIGURE = "fig9"  # the one that needs no class


def to_show(plan: Plan, w: Wildcards) -> Paths:
    """What there is of a variant without outputs, cases and probes."""
    plan.sae(w.variant)
    files = sheet(at(paths.VARIANT, variant=w.variant), FIGURE)
    return {
        "figure": files["png"],
        "caption": files["caption"],
        "components": at(paths.COMPONENTS, variant=w.variant),
        "name_stability": at(paths.NAME_STABILITY, variant=w.variant),
        "quality": at(paths.SAE_QUALITY, variant=w.variant),
        "excluded": plan.path(paths.EXCLUDED, w.variant),
        "weights": plan.path(paths.WEIGHTS, w.variant),
        "checked": at(paths.CHECKED, variant=w.variant),
        **strongest_images(plan, w.variant),
    }


def showing(plan: Plan, w: Wildcards) -> Values:
    """What the page says of the variant, and where its images lie."""
    v = plan.variant(w.variant)
    return {
        "variant": w.variant,
        "random_weights": plan.untrained(w.variant),
        "note": plan.encoder(v.encoder).note or "",
        "configuration": chosen(plan, w.variant),
        "dataset_root": plan.root(v.dataset),
        **reading(plan),
    }


def to_mend(plan: Plan, w: Wildcards) -> Paths:
    """What was found on the way from failure to repair, and its figures."""
    plan.sae(w.variant)
    names = ("cases", "case_images", "proof", "coverage", "shared", "unexplained", "repairs", "edits")
    files = (
        paths.FAMILY_CASES,
        paths.CASE_IMAGES,
        paths.PROOF,
        paths.COVERAGE,
        paths.SHARED,
        paths.UNEXPLAINED,
        paths.REPAIRS,
        paths.REPAIRED_EDITS,
    )
    sheets = [sheet(at(paths.VARIANT, variant=w.variant), figure) for figure in ("repairs", "coverage")]
    attributes = has_attributes(plan, plan.variant(w.variant).dataset)
    return {
        **{name: at(path, variant=w.variant) for name, path in zip(names, files, strict=True)},
        **({"groups": at(paths.GROUP_SCORES, variant=w.variant)} if attributes else {}),
        "figures": [drawn["png"] for drawn in sheets],
        "captions": [drawn["caption"] for drawn in sheets],
        "index": plan.path(paths.INDEX, w.variant),
        "classes": plan.path(paths.CLASSES, w.variant),
    }


def mending(plan: Plan, w: Wildcards) -> Values:
    """Whose page it is, and where its images lie."""
    root = plan.root(plan.variant(w.variant).dataset)
    return {"variant": w.variant, "dataset_root": root, **reading(plan)}


STAGES = (
    Stage(
        name="report_repair",
        entry="reliance.report.mended:report_repair",
        inputs=to_mend,
        outputs={"html": paths.REPAIR_PAGE},
        beside=beside(paths.REPAIR_PAGE),
        settings=mending,
        reads=("report/repair.html.j2",),
        memory=3000,
        message="Writing the page of the repairs of {wildcards.variant}",
    ),
    Stage(
        name="report_of_unlabelled",
        entry="reliance.report.unlabelled:report_unlabelled",
        inputs=to_show,
        along=described,
        outputs={"html": paths.PAGE},
        beside=beside(paths.PAGE),
        settings=showing,
        variants=lambda plan: plan.without_classes(True),
        reads=("report/unlabelled.html.j2",),
        memory=4000,
        message="Writing the page of {wildcards.variant}, whose images have no classes",
    ),
)
