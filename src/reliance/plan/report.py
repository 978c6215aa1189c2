"""One self-contained page per variant, and what is built if nothing is asked for."""

import os

from reliance.base.commands import COMMAND
from reliance.figures.table import FIGURES, INSIDE, numbered
from reliance.plan import paths
from reliance.plan.figures import GROUPS, bases, figures_of, has, reading
from reliance.plan.lens import each_block, lens
from reliance.plan.lens_pictures import masked, misled, of_things
from reliance.plan.naming import components_of
from reliance.plan.paths import Wildcards, at, beside, sheet
from reliance.plan.plan import Plan, some
from reliance.plan.shown import lens_trials
from reliance.plan.stage import Paths, Stage, Values


def of_everyone(plan: Plan, name: str) -> Paths:
    """Tables that every variant has."""
    v = plan.variant(name)
    return {
        "robustness": at(paths.ROBUSTNESS, variant=name),
        "failures": at(paths.FAILURES, variant=v.failures_from),
        "failure_samples": at(paths.FAILURE_SAMPLES, variant=v.failures_from),
        "mined_components": at(paths.COMPONENTS, variant=v.failures_from),
        "index": plan.path(paths.INDEX, name),
        "classes": plan.path(paths.CLASSES, name),
        "excluded": plan.path(paths.EXCLUDED, name),
        "weights": plan.path(paths.WEIGHTS, name),
        "checked": at(paths.CHECKED, variant=name),
        "text": plan.path(paths.TEXT, name, prompt_set=v.failures.prompt_set),
        "zero_shot": plan.path(paths.ZERO_SHOT, name),
        "paper": at(paths.PAPER, variant=name),
    }


def of_an_sae(plan: Plan, name: str) -> Paths:
    """Tables that a variant with an SAE has."""
    if not plan.variant(name).sae:
        return {}
    return {
        **{key: files[0] for key, files in bases(plan, [name]).items()},
        "tested": at(components_of("sae", "test"), variant=name),
        "hidden": at(paths.HIDDEN, variant=name),
        "name_stability": at(paths.NAME_STABILITY, variant=name),
        "faithfulness": at(paths.FAITHFULNESS, variant=name),
        "quality": at(paths.SAE_QUALITY, variant=name),
    }


def of_an_audit(plan: Plan, name: str) -> Paths:
    """Tables that an audited variant has."""
    if not plan.variant(name).audit:
        return {}
    return {
        "audit": at(paths.AUDIT, variant=name),
        "audit_accuracies": at(paths.AUDIT_ACCURACIES, variant=name),
        "audit_relevances": at(paths.AUDIT_RELEVANCES, variant=name),
    }


def of_planted_data(plan: Plan, name: str) -> Paths:
    """The score against planted truth; lesions have no cases to mine."""
    v = plan.variant(name)
    planted = plan.dataset(v.dataset).planted
    scored = planted and planted.world == "objects" and v.failures_from == name
    return {"truth": at(paths.TRUTH, variant=name)} if scored else {}


def to_hold(plan: Plan, w: Wildcards) -> Paths:
    """What the numbers of the paper's text are about."""
    asked = ("robustness", "failures", "components", "pca", "audit", "audit_accuracies")
    name = w.variant
    files = {**of_everyone(plan, name), **of_an_sae(plan, name), **of_an_audit(plan, name)}
    return {key: files[key] for key in asked if key in files}


def to_show(plan: Plan, w: Wildcards) -> Paths:
    """Everything that the page of a variant shows."""
    here = at(paths.VARIANT, variant=w.variant)
    sheets = [sheet(here, name) for name in figures_of(plan, w.variant)]
    return {
        "figures": [files["png"] for files in sheets],
        "captions": [files["caption"] for files in sheets],
        "numbers": [*(files["csv"] for files in sheets), f"{here}/table1.csv"],
        "table1": f"{here}/table1.md",
        **of_everyone(plan, w.variant),
        **of_an_sae(plan, w.variant),
        **of_an_audit(plan, w.variant),
        **of_planted_data(plan, w.variant),
    }


def showing(plan: Plan, w: Wildcards) -> Values:
    """What the page says of the variant, and the configuration that it was made with."""
    v = plan.variant(w.variant)
    latents = [row.name for row in numbered(FIGURES) if row.of == "sae" and row.alone]
    return {
        "variant": w.variant,
        "mined_by": v.failures_from,
        "prompt_set": v.failures.prompt_set,
        "random_weights": plan.untrained(w.variant),
        "note": plan.encoder(v.encoder).note or "",
        "left_out": [] if v.sae else [name.removeprefix("fig") for name in latents],
        "configuration": {
            **chosen(plan, w.variant),
            "images": reading(plan),
            "embedding": plan.config.embedding.model_dump(exclude={"workers", "one_pass"}),
            **some(plan.config, "templates", "naming", "probe", "faithfulness", "hidden", "galleries"),
        },
    }


def chosen(plan: Plan, name: str) -> Values:
    """The sections of the configuration that are the variant's own."""
    v = plan.variant(name)
    sections = ("sae", "failures", "audit", "probe", "lens")
    return {
        "variant": {key: value for key, value in v._asdict().items() if key not in sections},
        "encoders": {e: plan.encoder(e).model_dump() for e in (v.encoder, v.labeller) if e},
        "dataset": {**plan.dataset(v.dataset).model_dump(), "vocabulary": plan.vocabulary(v.dataset)},
        "sae": v.sae.model_dump() if v.sae else "none",
        "failures": plan.variant(v.failures_from).failures.model_dump(),
        "audit": v.audit.model_dump() if v.audit else "none",
        **({"probe": v.probe.model_dump()} if v.probe else {}),
        **({"lens": v.lens.model_dump()} if v.lens else {}),
    }


def measured(plan: Plan, w: Wildcards) -> Values:
    """Whose jobs the page lists times of, where these are, and the command of this run."""
    v = plan.variant(w.variant)
    owners = [name for name in (v.name, v.failures_from, v.encoder, v.labeller, v.dataset) if name]
    return {
        "benchmarks": plan.placed(paths.BENCHMARKS),
        "owners": owners,
        "command": os.environ.get(COMMAND, ""),
    }


def described(plan: Plan, w: Wildcards) -> list[str]:
    """What opens a variant for questions: it is there wherever its page is."""
    return [at(paths.DESCRIPTION, variant=w.variant)]


def to_look_inside(plan: Plan, w: Wildcards) -> Paths:
    """Everything that the page of the lens shows."""
    here, name = at(paths.VARIANT, variant=w.variant), w.variant
    sheets = [sheet(here, row.name) for row in FIGURES if row.section == INSIDE and has(plan, name, row)]
    v, things = plan.variant(name), of_things(plan, name)
    mapped = things and v.sae is not None and v.site == "class_token"
    segments = {"segments": at(paths.LENS_SEGMENTS, variant=name)} if masked(plan, name) else {}
    return {
        "accuracies": each_block(plan, name, paths.LENS_ACCURACY),
        "neurons": each_block(plan, name, paths.LENS_NEURONS),
        "tops": each_block(plan, name, paths.LENS_TOPS),
        **({"truths": each_block(plan, name, paths.LENS_TRUTH)} if things else {}),
        **bridged(plan, name),
        **(lens_trials(plan, [name]) if misled(plan, name) else {}),
        **({"adversarial": at(paths.LENS_ADVERSARIAL, variant=name)} if plan.labelled(v.dataset) else {}),
        "attributes": at(paths.LENS_ATTRIBUTES, variant=name),
        **({"attribute_truth": at(paths.LENS_ATTRIBUTE_TRUTH, variant=name)} if things else {}),
        **segments,
        **({"maps": at(paths.LENS_MAPS, variant=name)} if mapped else {}),
        "figures": [files["png"] for files in sheets],
        "captions": [files["caption"] for files in sheets],
        "numbers": [files["csv"] for files in sheets],
        "index": plan.path(paths.INDEX, name),
    }


def bridged(plan: Plan, name: str) -> Paths:
    """What heads and neurons do to latents and failure cases, where there is an SAE at the class token."""
    v = plan.variant(name)
    if v.sae is None or v.site != "class_token":
        return {}
    patterns = {"bridge": paths.LENS_BRIDGE, "heads": paths.LENS_HEADS, "components": paths.COMPONENTS}
    patterns |= {"cases": paths.LENS_CASES} if plan.labelled(v.dataset) else {}
    return {key: at(pattern, variant=name) for key, pattern in patterns.items()}


def looking_inside(plan: Plan, w: Wildcards) -> Values:
    """What the page of the lens is of."""
    section, v = lens(plan, w.variant), plan.variant(w.variant)
    return {
        "variant": w.variant,
        "blocks": section.layers,
        "configuration": {"encoder": v.encoder, "dataset": v.dataset, **section.model_dump()},
        "random_weights": plan.untrained(w.variant),
        "dataset_root": plan.root(v.dataset),
        **reading(plan),
    }


def default_targets(plan: Plan, name: str) -> list[str]:
    """What the demo shows of a variant."""
    here = at(paths.VARIANT, variant=name)
    patterns = [paths.PAGE, paths.DESCRIPTION, *[paths.ATLAS] * bool(plan.variant(name).sae)]
    pages = [at(pattern, variant=name) for pattern in patterns]
    return pages + [sheet(here, figure)["pdf"] for figure in figures_of(plan, name)]


def looked_up(plan: Plan, name: str) -> list[str]:
    """What questions to a variant with an SAE look up, so that every one has its whole answer."""
    words = plan.path(paths.TEXT, name, prompt_set="vocabulary")
    return [at(paths.VIEWS, variant=name), at(paths.SERVED, variant=name), words]


def demo_targets(plan: Plan) -> list[str]:
    """Everything of the embedded demo."""
    compared = [
        sheet(at(paths.COMPARISON, comparison="demo"), row.name)["pdf"]
        for row in FIGURES
        if row.compares and not GROUPS[row.reads].members  # what every comparison has
    ]
    attributed = [at(paths.ATTRIBUTIONS, variant="demo", attributed=part) for part in ("subset", "test")]
    early = at(paths.VARIANT, variant="demo_early")
    files = [f"{early}/{file}" for file in ("fig5.pdf", "fig14.pdf", "table1.md")]
    return default_targets(plan, "demo") + looked_up(plan, "demo") + files + attributed + compared


STAGES = (
    Stage(
        name="paper",
        entry="reliance.report.paper:paper",
        inputs=to_hold,
        outputs={"csv": paths.PAPER},
        beside=beside(paths.PAPER),
        settings=lambda plan, w: {"variant": w.variant},
        memory=2000,
        minutes=5,
        group="figures",
        message="Holding the numbers of {wildcards.variant} beside the paper's",
    ),
    Stage(
        name="report",
        entry="reliance.report.page:report",
        inputs=to_show,
        along=described,
        outputs={"html": paths.PAGE, "findings": paths.FINDINGS},
        beside=beside(paths.PAGE),
        variants=lambda plan: plan.without_classes(False),
        settings=showing,
        untracked=measured,
        reads=("report/page.html.j2",),
        memory=4000,
        message="Writing the page of {wildcards.variant}",
    ),
    Stage(
        name="lens_report",
        entry="reliance.report.lens:lens_report",
        inputs=to_look_inside,
        outputs={"html": paths.LENS_PAGE},
        beside=beside(paths.LENS_PAGE),
        settings=looking_inside,
        reads=("report/lens.html.j2",),
        memory=4000,
        message="Writing the page of the inside of {wildcards.variant}",
    ),
)
