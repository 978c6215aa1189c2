"""Audit of a linear probe: what it relies on, whether that is a shortcut, and a repair (Figs. 6 and 15)."""

from reliance.plan import paths
from reliance.plan.attribution import explained
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS


def to_split(plan: Plan, w: Wildcards) -> Paths:
    """Images, classes, and the ids that keep images together, if the audit has them do so.

    The guard is waited for, so that a class that there is not is told by one job.
    """
    files: Paths = {
        "index": plan.path(paths.INDEX, w.variant),
        "classes": plan.path(paths.CLASSES, w.variant),
        "guarded": at(paths.GUARDED, variant=w.variant),
    }
    return {**files, "groups": plan.path(paths.GROUPS, w.variant)} if plan.audit(w.variant).group else files


def splitting(plan: Plan, w: Wildcards) -> Values:
    """Which images the probe learns from."""
    keys = ("positive", "negative", "positive_share", "negatives", "seed", "test_on", "group")
    return some(plan.audit(w.variant), *keys)


def learned_from(plan: Plan, variant: str) -> Paths:
    """What the probe of an audit learns from, and what explains it."""
    plan.audit(variant)
    files = explained(plan, variant, "train")
    del files["text"]
    return {**files, "audit_split": at(paths.AUDIT_SPLIT, variant=variant)}


def changed_images(plan: Plan, variant: str, *names: str) -> Paths:
    """Embeddings of the split that is tested on: as it is, and under the intervention and its opposite."""
    audit = plan.audit(variant)
    split = "train" if audit.test_on == "rest" else "test"
    changes = {"increased": audit.intervention.transform, "reduced": audit.intervention.opposite}
    folders = {name: split + (f"@{changes[name]}" if name in changes else "") for name in names}
    wanted = [name for name in names if changes.get(name, split)]
    return {name: plan.path(paths.EMBEDDINGS, variant, split=folders[name]) for name in wanted}


def to_fit(plan: Plan, w: Wildcards) -> Paths:
    """What the probes learn from, and what tells whether the intervention moves a component."""
    return {
        **learned_from(plan, w.variant),
        **changed_images(plan, w.variant, "tested", "increased"),
        "components": at(paths.COMPONENTS, variant=w.variant),
        **({"given": at(paths.GIVEN_PROBE, variant=w.variant)} if plan.variant(w.variant).probe else {}),
    }


def fitting(plan: Plan, w: Wildcards) -> Values:
    """How the probes are fitted, and the component chosen."""
    chosen = ("component", "candidates", "toward", "low", "high")
    fitted = ("alpha", "alphas", "scale", "c", "seed")
    return {**some(plan.audit(w.variant), *chosen, *fitted), **_relevance(plan, w)}


def to_attribute(plan: Plan, w: Wildcards) -> Paths:
    """The probes, and what they are explained from."""
    return {**learned_from(plan, w.variant), "probe": at(paths.AUDIT_PROBE, variant=w.variant)}


def attributing(plan: Plan, w: Wildcards) -> Values:
    """Which robust probe is attributed beside the plain one."""
    return {**some(plan.audit(w.variant), "alpha"), **_relevance(plan, w)}


def _relevance(plan: Plan, w: Wildcards) -> Values:
    return {**some(plan.variant(w.variant).failures, "relevance"), **plan.compute}


def to_test(plan: Plan, w: Wildcards) -> Paths:
    """The probes, and images as they are and changed."""
    return {
        **changed_images(plan, w.variant, "embeddings", "increased", "reduced"),
        "index": plan.path(paths.INDEX, w.variant),
        "audit_split": at(paths.AUDIT_SPLIT, variant=w.variant),
        "probe": at(paths.AUDIT_PROBE, variant=w.variant),
        "choice": at(paths.AUDIT_CHOICE, variant=w.variant),
    }


STAGES = (
    Stage(
        name="split_audit",
        entry="reliance.audits.split:split_audit",
        inputs=to_split,
        outputs={"audit_split": paths.AUDIT_SPLIT},
        settings=splitting,
        memory=lambda s: 2000 + 0.002 * s.train,
        message="Drawing the images that the probe of {wildcards.variant} learns from",
    ),
    Stage(
        name="fit_audit",
        entry="reliance.audits.probe_audit:fit_audit",
        also=(KINDS["sae"],),
        inputs=to_fit,
        outputs={"probe": paths.AUDIT_PROBE, "choice": paths.AUDIT_CHOICE},
        settings=fitting,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.02 * s.train + 0.1 * s.latents,
        minutes=lambda s: 15 + s.train / 5000,
        threads=True,
        gpu=True,
        message="Fitting the probes of {wildcards.variant}, and choosing the component to audit",
    ),
    Stage(
        name="audit_relevances",
        entry="reliance.audits.probe_audit:audit_relevances",
        also=(KINDS["sae"],),
        inputs=to_attribute,
        outputs={"relevances": paths.AUDIT_RELEVANCES},
        settings=attributing,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.train / 10000,
        threads=True,
        gpu=True,
        message="Attributing the probes of {wildcards.variant} to components",
    ),
    Stage(
        name="audit_accuracies",
        entry="reliance.audits.accuracy:audit_accuracies",
        inputs=to_test,
        outputs={"accuracies": paths.AUDIT_ACCURACIES, "audit": paths.AUDIT},
        settings=lambda plan, w: {"threads": plan.config.compute.threads},
        untracked=in_blocks,
        memory=lambda s: 2000 + 0.02 * (s.train + s.test),
        minutes=lambda s: 10 + s.train / 25000,
        threads=True,
        message="Testing the probes of {wildcards.variant} on changed images",
    ),
)
