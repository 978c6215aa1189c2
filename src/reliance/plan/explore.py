"""A description of what a variant has: everything by its name, so that it can be opened by its folder."""

from collections.abc import Mapping
from typing import Any

from reliance.config.sites import SITES, kind_of
from reliance.plan import paths
from reliance.plan.figures import figures_of
from reliance.plan.paths import Wildcards, at, sheet
from reliance.plan.plan import Plan
from reliance.plan.report import of_an_audit, of_an_sae, of_everyone, of_planted_data
from reliance.plan.stage import Stage, Values

SPLITS = ("train", "test")
PROMPT_SETS = ("short", "templated", "extended", "both", "words")


def describing(plan: Plan, w: Wildcards) -> Values:
    """What the variant is, and where everything of it lies once it was built, as a job sees it."""
    v, name = plan.variant(w.variant), w.variant
    files: dict[str, Any] = {
        **of_everyone(plan, name),
        **of_an_sae(plan, name),
        **_of_the_sae(plan, name),
        **of_an_audit(plan, name),
        **of_planted_data(plan, name),
        **_of_the_encoder(plan, name),
        "figures": {figure: sheet(at(paths.VARIANT, variant=name), figure) for figure in figures_of(v)},
        "page": at(paths.PAGE, variant=name),
        "findings": at(paths.FINDINGS, variant=name),
    }
    about = {
        "encoder": v.encoder,
        "dataset": v.dataset,
        "labeller": v.labeller,
        "failures_from": v.failures_from,
        "prompt_set": v.failures.prompt_set,
        "sae": v.sae and v.sae.model_dump(),
        "dataset_root": plan.root(v.dataset),
    }
    return {"variant": name, "files": _placed(plan, files), "about": about}


def _of_the_encoder(plan: Plan, name: str) -> dict[str, Any]:
    return {
        "embeddings": {split: plan.embedded(name, split) for split in SPLITS},
        **({} if SITES[kind_of(plan.variant(name).site)].tail else {"head": plan.path(paths.HEAD, name)}),
        "texts": {key: plan.path(paths.TEXT, name, prompt_set=key) for key in PROMPT_SETS},
        "probe": plan.path(paths.PROBE, name),
    }


def _of_the_sae(plan: Plan, name: str) -> dict[str, Any]:
    v = plan.variant(name)
    if not v.sae:
        return {}
    labeller, site, dataset = plan.labeller(name), plan.labelled_at(name), v.dataset
    mined = {
        "expectations": at(paths.EXPECTATIONS, variant=name),
        "outliers": at(paths.OUTLIERS, variant=name),
        "outlier_samples": at(paths.OUTLIER_SAMPLES, variant=name),
    }
    return {
        "sae": at(paths.SAE, variant=name),
        "history": at(paths.SAE_HISTORY, variant=name),
        "codes": {split: at(paths.CODES, variant=name, split=split) for split in SPLITS},
        "top_samples": at(paths.TOP_SAMPLES, variant=name),
        "attributions": {
            part: at(paths.ATTRIBUTIONS, variant=name, attributed=part) for part in ("subset", "test")
        },
        "labels": {split: plan.embeddings(labeller, site, dataset, split) for split in SPLITS},
        "vocabulary": at(paths.TEXT, encoder=labeller, dataset=dataset, prompt_set="vocabulary"),
        **(mined if v.failures_from == name else {}),
    }


def _placed(plan: Plan, value: Any) -> Any:
    """Every path as a job sees it."""
    if isinstance(value, Mapping):
        return {key: _placed(plan, inner) for key, inner in value.items()}
    return [plan.placed(path) for path in value] if isinstance(value, list) else plan.placed(value)


STAGES = (
    Stage(
        name="describe_variant",
        entry="reliance.explore.describe:describe_variant",
        outputs={"description": paths.DESCRIPTION},
        settings=describing,
        local=True,
        minutes=5,
        message="Describing the files of {wildcards.variant}",
    ),
)
