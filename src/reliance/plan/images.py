"""From a folder of images to an index; which images could not be read; which belong together."""

import os
from pathlib import Path

from reliance.config.models import FOLDER_NAMES, Fields
from reliance.config.resolve import check_file, check_root
from reliance.images.names import read_names
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name
from reliance.plan.plan import Plan, some
from reliance.plan.planted import drawn
from reliance.plan.stage import Paths, Stage, Values
from reliance.units.sae.kinds import KINDS

SPLITS = ("train", "test")


def to_index(plan: Plan, w: Wildcards) -> Paths:
    """Files an index depends on. A folder of images is not one of them, but it must exist."""
    if plan.is_external(w.dataset):
        external = plan.external(w.dataset)
        check_root("external_lists", w.dataset, external.root)
        return {"classes_from": at(paths.CLASSES, dataset=external.dataset)}
    d = plan.dataset(w.dataset)
    if d.planted:
        return drawn(plan, w.dataset, "plants", "names")
    check_root("datasets", base_name(w.dataset), d.root)
    if d.names and d.names != FOLDER_NAMES:
        check_file(f"datasets.{base_name(w.dataset)}.names", d.names)
    captions: Paths = {"captions": plan.users(d.captions)} if d.captions else {}
    if d.captions:
        check_file(f"datasets.{base_name(w.dataset)}.captions", d.captions)
    if d.names == FOLDER_NAMES:
        return captions
    beside = os.path.join(str(d.root), "names.csv")  # a user's own file, taken if there is one
    names = d.names or (beside if os.path.isfile(beside) else None)
    if names is None:
        return captions
    read_names(Path(names))
    return {**captions, "names": plan.users(names)}


def looking(plan: Plan, fields: Fields | None = None) -> Values:
    """How one looks below a root; what is at its default is left out, so that a new key reruns nothing."""
    links: Values = {} if plan.config.images.follow_links else {"follow_links": False}
    unset = {"caption"} if fields and fields.caption is None else None
    return {**links, **({"fields": fields.model_dump(exclude=unset)} if fields else {})}


def indexing(plan: Plan, w: Wildcards) -> Values:
    """Where the images are, and how they are told apart."""
    if plan.is_external(w.dataset):
        return {"root": plan.root(w.dataset), "layout": "cases", "dataset": w.dataset, **looking(plan)}
    d = plan.dataset(w.dataset)
    return {
        **looking(plan, d.fields),
        "root": plan.root(w.dataset),
        "layout": d.layout,
        "split": d.split and d.split.model_dump(),
        "per_class": d.per_class,
        "dataset": base_name(w.dataset),
    }


def needing(plan: Plan, w: Wildcards) -> Values:
    """What a variant may ask of the images of its data set, but for its audit."""
    v = plan.variant(w.variant)
    return {
        "variant": w.variant,
        "mines": v.failures_from == v.name,
        **some(v.failures, "every_nth", "min_samples"),
        **some(plan.config.naming, "min_active", "top_n"),
        **(some(v.sae, "m", "k", "batch_size") if v.sae else {}),
        **some(plan.config.faithfulness, "subsets"),
    }


def naming(plan: Plan, w: Wildcards) -> Values:
    """The same and what its audit asks of classes; past the guard, the audit's own jobs tell it."""
    v = plan.variant(w.variant)
    return {
        **needing(plan, w),
        **(some(v.audit, "positive", "negative") if v.audit else {}),
        **({"probe": v.probe.file} if v.probe else {}),
    }


def guarded(plan: Plan, w: Wildcards) -> Values:
    """Where the same was or will be told before the variant's SAE is trained, or its audit drawn."""
    v = plan.variant(w.variant)
    waits = v.audit is not None or (v.sae is not None and KINDS[v.sae.kind].trained)
    return {"guarded": plan.placed(at(paths.GUARDED, variant=w.variant))} if waits else {}


def to_exclude(plan: Plan, w: Wildcards) -> Paths:
    """What an encoder's embeddings say of images that it could not read."""
    manifests = [plan.embeddings(w.encoder, w.site, w.dataset, split) for split in SPLITS]
    return {"index": at(paths.INDEX, dataset=w.dataset), "manifests": manifests}


def has_attributes(plan: Plan, dataset: str) -> bool:
    """Whether a data set has a table of attributes of its images: a user's, or of what was drawn."""
    d = plan.dataset(dataset)
    return d.groups is not None or (d.planted is not None and d.planted.world == "objects")


def to_group(plan: Plan, w: Wildcards) -> Paths:
    """The index, and the table of ids that a user gives; layout isic has them in its own tables."""
    d = plan.dataset(w.dataset)
    if d.groups:
        check_file(f"datasets.{base_name(w.dataset)}.groups", d.groups)
    ids: Paths = {"ids": plan.users(d.groups)} if d.groups else {}
    if has_attributes(plan, w.dataset) and not d.groups:
        ids = {"ids": at(paths.ATTRIBUTES, dataset=base_name(w.dataset))}
    return {**ids, "index": at(paths.INDEX, dataset=w.dataset)}


def grouping(plan: Plan, w: Wildcards) -> Values:
    """Where the ids are looked for."""
    layout = plan.dataset(w.dataset).layout
    place = {"root": plan.root(w.dataset), "layout": layout, "dataset": base_name(w.dataset)}
    return {**place, **looking(plan)}


def checking(name: str, checked: str, message: str, guard: bool = False) -> Stage:
    """What a variant needs against what its data set has: for the page, or before an SAE is trained."""
    return Stage(
        name=name,
        entry="reliance.images.foresight:check_data",
        inputs=lambda plan, w: {
            "index": plan.path(paths.INDEX, w.variant),
            "classes": plan.path(paths.CLASSES, w.variant),
        },
        outputs={"checked": checked},
        settings=naming if guard else needing,
        untracked=lambda plan, w: {} if guard else guarded(plan, w),
        guard=guard,
        first=True,
        local=True,
        memory=lambda s: 2000 + 0.002 * s.train,
        minutes=5,
        message=message,
    )


STAGES = (
    Stage(
        name="index_images",
        entry="reliance.images.index:index_images",
        inputs=to_index,
        outputs={"index": paths.INDEX, "classes": paths.CLASSES},
        settings=indexing,
        untracked=lambda plan, w: some(plan.config.images, "max_invalid"),
        memory=lambda s: 2000 + 0.002 * s.train,
        minutes=lambda s: 10 + s.train / 25000,
        message="Listing the images of {wildcards.dataset}",
    ),
    Stage(
        name="count_captions",
        entry="reliance.images.captions:count_captions",
        inputs=lambda plan, w: {"index": at(paths.INDEX, dataset=w.dataset)},
        outputs={"vocabulary": paths.CAPTION_NAMES},
        first=True,
        memory=lambda s: 3000 + 0.001 * s.train,
        message="Counting what the captions of {wildcards.dataset} name",
    ),
    checking(
        "check_data",
        paths.CHECKED,
        "Comparing what {wildcards.variant} needs with the images of its data set",
    ),
    checking(
        "guard_data", paths.GUARDED, "Making sure that {wildcards.variant} fits its data set", guard=True
    ),
    Stage(
        name="gather_excluded",
        entry="reliance.images.index:gather_excluded",
        inputs=to_exclude,
        outputs={"excluded": paths.EXCLUDED},
        settings=lambda plan, w: {"splits": SPLITS},
        minutes=lambda s: 5 + s.train / 500000,
        message="Listing the images of {wildcards.dataset} that {wildcards.encoder} could not read",
    ),
    Stage(
        name="index_groups",
        entry="reliance.images.groups:index_groups",
        inputs=to_group,
        outputs={"groups": paths.GROUPS},
        settings=grouping,
        memory=lambda s: 2000 + 0.002 * s.train,
        message="Reading which images of {wildcards.dataset} belong together",
    ),
)
