"""What a variant has, by name, so that it can be opened by its folder; and what questions to it look up."""

import os
from collections.abc import Mapping
from typing import Any

from reliance.base.commands import COMMAND, configured
from reliance.config.sites import SITES, kind_of
from reliance.plan import paths
from reliance.plan.figures import figures_of
from reliance.plan.naming import labels
from reliance.plan.paths import Wildcards, at, sheet
from reliance.plan.plan import Plan, some
from reliance.plan.report import bridged, of_an_audit, of_an_sae, of_everyone, of_planted_data
from reliance.plan.robustness import probe_of
from reliance.plan.stage import Paths, Stage, Values, in_blocks

SPLITS = ("train", "test")
MINED = ("outliers", "outlier_samples")
OF_CLASSES = (*MINED, "atlas", "attributions", "effects", "expectations", "references", "served")
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
        **_of_the_lens(plan, name),
        "figures": {
            figure: sheet(at(paths.VARIANT, variant=name), figure) for figure in figures_of(plan, name)
        },
        "page": at(paths.PAGE, variant=name),
        "findings": at(paths.FINDINGS, variant=name),
    }
    if not plan.labelled(v.dataset):
        files = {key: file for key, file in files.items() if key not in OF_CLASSES}
    about = {
        "encoder": v.encoder,
        "site": v.site,
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
        "words": plan.path(paths.TEXT, name, prompt_set="vocabulary"),
        "probe": probe_of(plan, name),
    }


def _of_the_sae(plan: Plan, name: str) -> dict[str, Any]:
    v = plan.variant(name)
    if not v.sae:
        return {}
    labeller, site, dataset = plan.labeller(name), plan.labelled_at(name), v.dataset
    mined = {
        "outliers": at(paths.OUTLIERS, variant=name),
        "outlier_samples": at(paths.OUTLIER_SAMPLES, variant=name),
    }
    return {
        "atlas": at(paths.ATLAS, variant=name),
        "sae": at(paths.SAE, variant=name),
        "views": at(paths.VIEWS, variant=name),
        "expectations": at(paths.EXPECTATIONS, variant=name),
        "effects": at(paths.EFFECTS, variant=name),
        "served": at(paths.SERVED, variant=name),
        "references": at(paths.REFERENCES, variant=name),
        "labeller_weights": at(paths.WEIGHTS, encoder=labeller),
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


def _of_the_lens(plan: Plan, name: str) -> dict[str, Any]:
    v = plan.variant(name)
    if v.lens is None:
        return {}
    patterns = {"directions": paths.LENS_DIRECTIONS, "tops": paths.LENS_TOPS}
    patterns |= {"words": paths.LENS_WORDS, "neurons": paths.LENS_NEURONS}
    blocks = [str(block) for block in v.lens.layers]
    found: dict[str, Any] = {
        f"lens_{key}": {block: at(pattern, variant=name, block=block) for block in blocks}
        for key, pattern in patterns.items()
    }
    written = (
        {"lens_bridge": paths.LENS_BRIDGE, "lens_heads": paths.LENS_HEADS} if bridged(plan, name) else {}
    )
    return {**found, **{key: at(pattern, variant=name) for key, pattern in written.items()}}


def _placed(plan: Plan, value: Any) -> Any:
    """Every path as a job sees it."""
    if isinstance(value, Mapping):
        return {key: _placed(plan, inner) for key, inner in value.items()}
    return [plan.placed(path) for path in value] if isinstance(value, list) else plan.placed(value)


def to_view(plan: Plan, w: Wildcards) -> Paths:
    """Codes and strongest images on train, and what the labeller says of these."""
    return {
        "labels": labels(plan, w.variant, "train")["labels"],
        "codes": at(paths.CODES, variant=w.variant, split="train"),
        "top_samples": at(paths.TOP_SAMPLES, variant=w.variant),
    }


STAGES = (
    Stage(
        name="view_units",
        entry="reliance.explore.indexing:view_units",
        inputs=to_view,
        outputs={"views": paths.VIEWS},
        settings=lambda plan, w: some(plan.config.naming, "top_n"),
        untracked=in_blocks,
        memory=lambda s: 3000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.train / 30000,
        message="Looking at every component of {wildcards.variant} with the labeller",
    ),
    Stage(
        name="index_expectations",
        entry="reliance.explore.indexing:index_expectations",
        inputs=lambda plan, w: {
            "expectations": at(paths.EXPECTATIONS, variant=w.variant),
            "attributions": at(paths.ATTRIBUTIONS, variant=w.variant, attributed="subset"),
        },
        outputs={"effects": paths.EFFECTS, "served": paths.SERVED, "references": paths.REFERENCES},
        memory=lambda s: 2000 + 1.6e-4 * s.classes * s.latents,
        minutes=20,
        message="Listing which classes every component of {wildcards.variant} serves",
    ),
    Stage(
        name="describe_variant",
        entry="reliance.explore.describe:describe_variant",
        outputs={"description": paths.DESCRIPTION},
        settings=describing,
        untracked=lambda plan, w: {"options": configured(os.environ.get(COMMAND, ""))},
        local=True,
        minutes=5,
        message="Describing the files of {wildcards.variant}",
    ),
)
