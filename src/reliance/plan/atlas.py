"""The atlas of a variant: static pages of everything that was found, opened from the disk."""

from reliance.config.sites import SITES, kind_of
from reliance.plan import paths
from reliance.plan.concepts import alignments
from reliance.plan.figures import reading
from reliance.plan.naming import components_of
from reliance.plan.paths import Wildcards, at, beside
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS

SPLITS = ("train", "test")
PACKAGED = ("index.html.j2", "atlas.js", "atlas.css")


def to_browse(plan: Plan, w: Wildcards) -> Paths:
    """Everything that the atlas of a variant with an SAE shows."""
    plan.sae(w.variant)
    name, miner = w.variant, plan.variant(w.variant).failures_from
    files: Paths = {
        "components": at(paths.COMPONENTS, variant=name),
        "tested": at(components_of("sae", "test"), variant=name),
        "top_samples": at(paths.TOP_SAMPLES, variant=name),
        "hidden": at(paths.HIDDEN, variant=name),
        "name_stability": at(paths.NAME_STABILITY, variant=name),
        "alignments": alignments(plan, name),
        "expectations": at(paths.EXPECTATIONS, variant=name),
        "effects": at(paths.EFFECTS, variant=name),
        "failures": at(paths.FAILURES, variant=miner),
        "failure_samples": at(paths.FAILURE_SAMPLES, variant=miner),
        "mined_components": at(paths.COMPONENTS, variant=miner),
        "robustness": at(paths.ROBUSTNESS, variant=name),
        "index": plan.path(paths.INDEX, name),
        "classes": plan.path(paths.CLASSES, name),
        "views": at(paths.VIEWS, variant=name),
        "sae": at(paths.SAE, variant=name),
        **relevances(plan, name),
        "text": plan.path(paths.TEXT, name, prompt_set=plan.variant(name).failures.prompt_set),
        "embeddings": [plan.embedded(name, split) for split in SPLITS],
        "codes": [at(paths.CODES, variant=name, split=split) for split in SPLITS],
    }
    if miner == name:
        files["outliers"] = at(paths.OUTLIERS, variant=name)
        files["outlier_samples"] = at(paths.OUTLIER_SAMPLES, variant=name)
    return files


def relevances(plan: Plan, name: str) -> Paths:
    """What relevances of images are computed from, or without a closed form those that are kept."""
    if not SITES[kind_of(plan.variant(name).site)].tail:
        return {"head": plan.path(paths.HEAD, name)}
    kept = {"attributions": paths.ATTRIBUTIONS, "outputs": paths.OUTPUTS}
    return {key: at(path, variant=name, attributed="subset") for key, path in kept.items()}


def browsing(plan: Plan, w: Wildcards) -> Values:
    """What the atlas says of the variant, and where its pictures lie."""
    v = plan.variant(w.variant)
    return {
        "variant": w.variant,
        "mined_by": v.failures_from,
        "dataset": v.dataset,
        "encoder": v.encoder,
        "dataset_root": plan.root(v.dataset),
        "site": v.site,
        **reading(plan),
        **plan.compute,
    }


STAGES = (
    Stage(
        name="atlas",
        entry="reliance.explore.atlas.build:atlas",
        inputs=to_browse,
        outputs={"page": paths.ATLAS, "manifest": paths.ATLAS_FILES},
        beside=beside(paths.ATLAS),
        also=(KINDS["sae"],),
        settings=browsing,
        untracked=in_blocks,
        reads=tuple(f"explore/atlas/{name}" for name in PACKAGED),
        memory=lambda s: 4000 + 0.2 * s.latents,
        minutes=lambda s: 10 + 5e-4 * s.latents,
        threads=True,
        message="Making the atlas of {wildcards.variant}",
    ),
)
