"""How well text prompts and linear probes tell a class from its distractors."""

from reliance.config.mistakes import invalid
from reliance.config.resolve import check_file
from reliance.encoders.registry import embed_dim
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name, beside
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values

PROMPT_SETS = ("short", "templated", "extended", "both")


def to_fit(plan: Plan, w: Wildcards) -> Paths:
    """What the probe learns from: the test split, as in the paper."""
    plan.check_classes(w.dataset)
    return {
        "index": at(paths.INDEX, dataset=w.dataset),
        "embeddings": plan.embeddings(w.encoder, w.site, w.dataset, "test"),
    }


def fitting(plan: Plan, w: Wildcards) -> Values:
    """How the probe is fitted."""
    return {**plan.config.probe.model_dump(), "threads": plan.config.compute.threads}


def to_classify(plan: Plan, w: Wildcards) -> Paths:
    """Images to tell apart, and the prompts to do so."""
    texts = {
        name: at(paths.TEXT, encoder=w.encoder, dataset=w.dataset, prompt_set=name) for name in PROMPT_SETS
    }
    return {**to_fit(plan, w), **texts}


def to_read(plan: Plan, w: Wildcards) -> Paths:
    """A list of cases, and the data set whose classes they are mistaken for."""
    home = plan.external(w.dataset).dataset
    return {
        "index": at(paths.INDEX, dataset=w.dataset),
        "classes": at(paths.CLASSES, dataset=home),
        "home_index": at(paths.INDEX, dataset=home),
    }


def reading(plan: Plan, w: Wildcards) -> Values:
    """Where the cases come from, and where the images of both lie."""
    external = plan.external(w.dataset)
    return {
        "dataset": w.dataset,
        "source": external.source,
        "kind": external.kind,
        "root": plan.root(w.dataset),
        "home_root": plan.root(external.dataset),
    }


def found_elsewhere(plan: Plan, variant: str) -> Paths:
    """Cases found elsewhere: their lists, their samples, and embeddings of images outside the data set."""
    planted, folders, tables = plan.lists(variant)
    for name in tables:
        for key in ("failures", "samples"):
            file = getattr(plan.config.external_lists[name], key)
            check_file(f"external_lists.{name}.{key}", file)
    v = plan.variant(variant)
    return {
        "external_failures": [at(paths.PLANTED, dataset=name) for name in planted]
        + listed(plan, folders, tables, "failures"),
        "external_samples": [at(paths.PLANTED_SAMPLES, dataset=name) for name in planted]
        + listed(plan, folders, tables, "samples"),
        "external_embeddings": [plan.embeddings(v.encoder, v.site, name, "cases") for name in folders],
    }


def listed(plan: Plan, folders: list[str], tables: list[str], key: str) -> list[str]:
    """Tables of cases (failures, samples): of folders as they were read, of tables as a user wrote them."""
    pattern = {"failures": paths.CASES, "samples": paths.CASES_SAMPLES}[key]
    own = [plan.users(getattr(plan.config.external_lists[name], key)) for name in tables]
    return [at(pattern, dataset=name) for name in folders] + own


def probe_of(plan: Plan, variant: str) -> str:
    """The probe that text prompts are compared with: a classifier of others that has a row for each class."""
    if rows_given(plan, variant) > 1:
        return at(paths.GIVEN_PROBE, variant=variant)
    return plan.path(paths.PROBE, variant)


def rows_given(plan: Plan, variant: str) -> int:
    """Rows of the classifier of others that a variant names, checked as far as no images are needed."""
    v = plan.variant(variant)
    if not v.probe:
        return 0
    from reliance.base.linear_file import read_linear  # with pandas, and torch where it is a file of torch
    from reliance.images.heads import check_sides, check_width

    check_file(f"variants.{base_name(variant)}.audit.probe", v.probe.file)
    head, encoder = read_linear(v.probe.file), plan.encoder(v.encoder)
    if v.audit:
        check_sides(head, v.audit.positive, v.audit.negative)
    if p := embed_dim(encoder.architecture, encoder.file):
        check_width(v.probe.file, head.weight.shape[1], p)
    return len(head.weight)


def to_take(plan: Plan, w: Wildcards) -> Paths:
    """A classifier of others, the classes, and how wide image embeddings are."""
    v = plan.variant(w.variant)
    if not rows_given(plan, w.variant) or v.probe is None:
        raise invalid(
            f"variants.{base_name(w.variant)}.audit.probe",
            "a classifier of others is taken from a file",
            "no key probe",
            "audit: {probe: PATH}",
            "add it",
        )
    return {
        "file": plan.users(v.probe.file),
        "classes": plan.path(paths.CLASSES, w.variant),
        "embeddings": plan.embedded(w.variant, "test"),
    }


def taking(plan: Plan, w: Wildcards) -> Values:
    """What a classifier of others expects of embeddings."""
    probe = plan.variant(w.variant).probe
    return probe.model_dump(exclude={"file"}) if probe else {}


def to_score(plan: Plan, w: Wildcards) -> Paths:
    """All cases, and what tells a class from others: prompts and a probe."""
    mined = plan.variant(w.variant).failures_from
    return {
        **found_elsewhere(plan, w.variant),
        "index": plan.path(paths.INDEX, w.variant),
        "embeddings": plan.embedded(w.variant, "train"),
        **{name: plan.path(paths.TEXT, w.variant, prompt_set=name) for name in PROMPT_SETS},
        "probe": probe_of(plan, w.variant),
        "failures": at(paths.FAILURES, variant=mined),
        "failure_samples": at(paths.FAILURE_SAMPLES, variant=mined),
    }


def scoring(plan: Plan, w: Wildcards) -> Values:
    """Where the cases come from."""
    v = plan.variant(w.variant)
    _, folders, _ = plan.lists(w.variant)
    return {
        "dataset": v.dataset,
        "every_nth": plan.variant(v.failures_from).failures.every_nth,
        "discovered_on": v.failures_from,
        "external_datasets": folders,
        "external_sources": plan.sources(w.variant),
        "threads": plan.config.compute.threads,
    }


STAGES = (
    Stage(
        name="fit_probe",
        entry="reliance.robustness.probes:fit_probe",
        inputs=to_fit,
        outputs={"probe": paths.PROBE},
        settings=fitting,
        memory=lambda s: 2000 + 0.02 * s.test + 3e-5 * s.test * s.classes,
        minutes=lambda s: 10 + s.test * s.classes / 5e5,
        threads=True,
        message="Fitting a linear probe on {wildcards.encoder} for {wildcards.dataset}",
    ),
    Stage(
        name="take_probe",
        entry="reliance.robustness.given:take_probe",
        inputs=to_take,
        outputs={"probe": paths.GIVEN_PROBE},
        settings=taking,
        first=True,
        minutes=5,
        memory=lambda s: 2000 + 0.02 * s.classes,
        message="Reading the classifier that {wildcards.variant} is asked about",
    ),
    Stage(
        name="zero_shot",
        entry="reliance.robustness.zero_shot:zero_shot",
        inputs=to_classify,
        outputs={"accuracies": paths.ZERO_SHOT},
        memory=lambda s: 2000 + 0.02 * s.classes,
        minutes=lambda s: 10 + s.test * s.classes / 5e7,
        message="Telling the classes of {wildcards.dataset} apart by the prompts of {wildcards.encoder}",
    ),
    Stage(
        name="list_external",
        entry="reliance.failures.external:list_external",
        inputs=to_read,
        outputs={"failures": paths.CASES, "failure_samples": paths.CASES_SAMPLES},
        beside=beside(paths.CASES),
        settings=reading,
        memory=2000,
        message="Reading the external cases {wildcards.dataset}",
    ),
    Stage(
        name="score_cases",
        entry="reliance.robustness.table:score_cases",
        inputs=to_score,
        outputs={"robustness": paths.ROBUSTNESS},
        settings=scoring,
        memory=lambda s: 3000 + 0.003 * s.train,
        minutes=lambda s: 15 + s.train / 30000,
        threads=True,
        message="Scoring {wildcards.variant} on the cases: text prompts against a linear probe",
    ),
)
