"""Figures and tables: the rows of the table of figures as stages, of one variant or of several.

A group says what figures are drawn from, for one variant or several, and which settings they get beside.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from reliance.config.sites import kind_of
from reliance.figures.table import FIGURES, Row, numbered
from reliance.plan import paths
from reliance.plan.concepts import alignments
from reliance.plan.lens import lens
from reliance.plan.lens_pictures import check_masked, check_misled, masked, misled
from reliance.plan.mapped import mapped, mapping
from reliance.plan.naming import components_of
from reliance.plan.paths import Wildcards, at, beside, each, sheet
from reliance.plan.persisting import mining, persistence
from reliance.plan.plan import Plan, some
from reliance.plan.repair import covered, tried
from reliance.plan.robustness import listed
from reliance.plan.shown import (
    Names,
    compared_bases,
    curves,
    curves_of_bases,
    lens_accuracies,
    lens_blocks,
    lens_neurons,
    lens_segmentations,
    lens_segmented,
    lens_trials,
    robustness,
    shown,
)
from reliance.plan.stage import Listed, Paths, Stage, Values


class Group(NamedTuple):
    """What a figure reads, and its settings; of several variants if the figure compares, else of one."""

    inputs: Callable[[Plan, Names], Paths]
    settings: Callable[[Plan, Names], Values]
    of_comparison: Callable[[Plan, str], Paths] | None = None  # by its name, instead of `inputs`
    members: Callable[[Plan, str], list[str]] | None = None  # the variants of a comparison that have it


def benchmarked(plan: Plan, names: Names) -> Values:
    """The same, and the lists of cases that could not be read."""
    skipped = {external for name in names for external in plan.skipped(name)}
    return {**shown(plan, names), "skipped_lists": sorted(skipped)}


def bases(plan: Plan, names: Names) -> Paths:
    """Components in all bases, two controls among them, and what their alignment is held against."""
    return {
        "components": each(paths.COMPONENTS, names),
        "neurons": each(components_of("neurons", "train"), names),
        "pca": each(components_of("pca", "train"), names),
        "random": each(components_of("random", "train"), names),
        "untrained": each(components_of("untrained", "train"), names),
        "alignments": [alignments(plan, name) for name in names],
    }


def pictured_bases(plan: Plan, names: Names) -> Paths:
    """The same, and strongest images if there is one variant to show some of."""
    return {**bases(plan, names), **(strongest_images(plan, names[0]) if len(names) == 1 else {})}


def pictured(plan: Plan, names: Names) -> Values:
    """Where the pictures lie, if there is one variant to show some of."""
    return pictures(plan, names) if len(names) == 1 else shown(plan, names)


def tested_components(plan: Plan, names: Names) -> Paths:
    """Components on the test split."""
    return {"components": each(components_of("sae", "test"), names)}


def side_views(plan: Plan, names: Names) -> Paths:
    """Components, deletion curves, and the cases that each variant is scored on."""
    return {
        "components": each(paths.COMPONENTS, names),
        "faithfulness": each(paths.FAITHFULNESS, names),
        "failures": each(paths.FAILURES, [plan.variant(name).failures_from for name in names]),
    }


def sited(plan: Plan, names: Names) -> Values:
    """The same, and where each variant reads its model."""
    return {**shown(plan, names), "sites": [plan.variant(name).site for name in names]}


def hidden_concepts(plan: Plan, names: Names) -> Paths:
    """Hidden concepts, and where their strongest images are."""
    (name,) = names
    return {
        "hidden": at(paths.HIDDEN, variant=name),
        "components": at(paths.COMPONENTS, variant=name),
        "classes": plan.path(paths.CLASSES, name),
        **strongest_images(plan, name),
        **mapped(plan, name),
    }


def strongest_images(plan: Plan, name: str) -> Paths:
    """Which images of the data set are the strongest of each component."""
    return {"top_samples": at(paths.TOP_SAMPLES, variant=name), "index": plan.path(paths.INDEX, name)}


def concept_gallery(plan: Plan, names: Names) -> Values:
    """How many components and images are shown."""
    galleries = some(plan.config.galleries, "per_band", "images_per_component")
    return {**galleries, **pictures(plan, names), **mapping(plan, names[0])}


def pictures(plan: Plan, names: Names) -> Values:
    """Where the pictures lie, and how they are read."""
    (name,) = names
    root = plan.root(plan.variant(name).dataset)
    return {**shown(plan, names), **reading(plan), "dataset_root": root}


def reading(plan: Plan) -> Values:
    """How image files are read."""
    return some(plan.config.images, "apply_exif", "max_pixels")


def cases(plan: Plan, names: Names) -> Paths:
    """The failure cases a variant is scored on, and the indexes of their images; not what was planted."""
    (name,) = names
    v = plan.variant(name)
    _, folders, tables = plan.lists(name)
    located = kind_of(plan.variant(v.failures_from).site) == "patches"
    codes = {"located": at(paths.CODES, variant=v.failures_from, split="train")} if located else {}
    return {
        **codes,
        **mapped(plan, v.failures_from),
        "failures": at(paths.FAILURES, variant=v.failures_from),
        "failure_samples": at(paths.FAILURE_SAMPLES, variant=v.failures_from),
        "outlier_samples": at(paths.OUTLIER_SAMPLES, variant=v.failures_from),
        "components": at(paths.COMPONENTS, variant=v.failures_from),
        "classes": plan.path(paths.CLASSES, name),
        "robustness": at(paths.ROBUSTNESS, variant=name),
        "indexes": [at(paths.INDEX, dataset=dataset) for dataset in (v.dataset, *folders)],
        "external_failures": listed(plan, folders, tables, "failures"),
        "external_samples": listed(plan, folders, tables, "samples"),
    }


def case_gallery(plan: Plan, names: Names) -> Values:
    """How many cases and images are shown, and where the pictures lie."""
    (name,) = names
    v = plan.variant(name)
    planted, folders, _ = plan.lists(name)
    datasets = [v.dataset, *folders]
    return {
        **benchmarked(plan, names),
        **some(plan.config.galleries, "cases_per_kind", "images_per_case"),
        **reading(plan),
        "external_sources": plan.sources(name)[len(planted) :],
        "datasets": datasets,
        "roots": [plan.root(dataset) for dataset in datasets],
        "prompt_set": plan.variant(v.failures_from).failures.prompt_set,
        "mined_by": v.failures_from,
        **mapping(plan, v.failures_from),
    }


def audited(plan: Plan, names: Names) -> Paths:
    """What was found of an audited probe."""
    (name,) = names
    return {
        "relevances": at(paths.AUDIT_RELEVANCES, variant=name),
        "accuracies": at(paths.AUDIT_ACCURACIES, variant=name),
        "audit": at(paths.AUDIT, variant=name),
    }


def audited_images(plan: Plan, names: Names) -> Paths:
    """The same, with the strongest images of components."""
    (name,) = names
    components = at(paths.COMPONENTS, variant=name)
    return {**audited(plan, names), "components": components, **strongest_images(plan, name)}


MAPPING = ("hidden concepts", "cases")  # groups whose figures load a model where galleries have maps
GROUPS = {
    "robustness": Group(robustness, benchmarked),
    "curves": Group(curves, shown),
    "curves of bases": Group(curves_of_bases, compared_bases),
    "bases": Group(pictured_bases, pictured),
    "overview": Group(side_views, sited),
    "tested components": Group(tested_components, shown),
    "hidden concepts": Group(hidden_concepts, concept_gallery),
    "cases": Group(cases, case_gallery),
    "persistence": Group(lambda plan, names: {}, shown, persistence, mining),
    "repairs": Group(tried, shown),
    "coverage": Group(covered, shown),
    "audit": Group(audited, shown),
    "audited images": Group(audited_images, pictures),
    "lens": Group(lens_accuracies, lens_blocks),
    "neurons of the lens": Group(lens_neurons, lens_blocks),
    "segmentations": Group(lens_segmentations, shown),
    "segmented pictures": Group(lens_segmented, shown),
    "misleading pictures": Group(lens_trials, shown),
}


def has(plan: Plan, name: str, row: Row) -> bool:
    """Whether a variant has a figure."""
    v = plan.variant(name)
    has_own = {"sae": bool(v.sae), "audit": bool(v.audit), "lens": bool(v.lens)}
    has_own |= {"masks": masked(plan, name), "misleading": misled(plan, name)}
    return {"cases": True, "repair": False, **has_own}[row.of]


def figures_of(plan: Plan, name: str) -> list[str]:
    """Names of the figures that a variant has, by number."""
    return [row.name for row in numbered(FIGURES) if has(plan, name, row) and row.alone and not row.table]


def checked(plan: Plan, row: Row, name: str) -> list[str]:
    """The variant alone; a clear error if it does not have the figure."""
    of_the_lens = {"lens": lens, "masks": check_masked, "misleading": check_misled}
    check = {"audit": plan.audit, "cases": plan.variant}.get(row.of, plan.sae)
    if row.of in of_the_lens:
        of_the_lens[row.of](plan, name)
    else:
        check(name)
    return [name]


def side_by_side(plan: Plan, row: Row, name: str) -> list[str]:
    """The variants of a comparison that have the figure."""
    if members := GROUPS[row.reads].members:
        return members(plan, name)
    return plan.comparison(name) if row.of == "cases" else plan.with_sae(name)


def figure(row: Row) -> Stage:
    """A row as the stage that draws it for a variant."""
    group, folder = GROUPS[row.reads], paths.VARIANT
    if row.table:
        outputs = {"csv": f"{folder}/{row.name}.csv", "md": f"{folder}/{row.name}.md"}
    else:
        outputs = sheet(folder, row.name)
    labels = {"variant": "{variant}", "figure": row.title}
    return Stage(
        name=row.name,
        entry=row.entry,
        inputs=lambda plan, w: group.inputs(plan, checked(plan, row, w.variant)),
        outputs=outputs,
        beside=beside(*outputs.values()),
        settings=lambda plan, w: group.settings(plan, [w.variant]),
        listed=Listed("csv" if row.table else "png", row.name, row.category, labels, row.about),
        group="figures",
        memory=1000 if row.table else 4000 if row.reads in MAPPING else 2000,
        minutes=5 if row.table else lambda s: 10 + s.train / 1000000,
        message=f"{'Writing' if row.table else 'Drawing'} {row.title} of {{wildcards.variant}}",
    )


def compared(row: Row) -> Stage:
    """A row as the stage that draws it for several variants side by side."""
    group, one = GROUPS[row.reads], figure(row)
    outputs = sheet(paths.COMPARISON, row.name)
    labels = {"variant": "{comparison} (comparison)", "figure": row.title}

    def settings(plan: Plan, w: Wildcards) -> dict[str, Any]:
        names = side_by_side(plan, row, w.comparison)
        values = {**group.settings(plan, names), "sizes": [plan.size(name) for name in names]}
        if row.of == "cases":
            return values
        return {**values, "skipped": [name for name in plan.comparison(w.comparison) if name not in names]}

    def inputs(plan: Plan, w: Wildcards) -> Paths:
        if group.of_comparison:
            return group.of_comparison(plan, w.comparison)
        return group.inputs(plan, side_by_side(plan, row, w.comparison))

    return one._replace(
        name=f"compare_{row.name}",
        inputs=inputs,
        outputs=outputs,
        beside=beside(*outputs.values()),
        settings=settings,
        listed=Listed("png", row.name, row.category, labels, row.about),
        message=f"Drawing {row.title} of the comparison {{wildcards.comparison}}",
    )


STAGES = (*(figure(row) for row in FIGURES if row.alone), *(compared(row) for row in FIGURES if row.compares))
