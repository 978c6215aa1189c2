"""Weights, the head, and every embedding of images and prompts. No stage after these runs a CLIP."""

import os
from pathlib import Path

from reliance.config.models import Encoder, Variant
from reliance.config.read_at import parts_needed
from reliance.config.resolve import BUILT_IN, CAPTIONS, check_file, known
from reliance.config.sites import SITES, block_of, kind_of, rule_of
from reliance.encoders.families.table import FAMILIES
from reliance.encoders.registry import check_encoder
from reliance.images.names import read_lines
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name
from reliance.plan.plan import Plan, some
from reliance.plan.stage import Paths, Stage, Values


def to_resolve(plan: Plan, w: Wildcards) -> Paths:
    """The file of weights, if there is one yet; every source is checked before any job runs."""
    e = plan.encoder(w.encoder)
    if e.training:
        return {"checkpoint": at(paths.CHECKPOINT, encoder=w.encoder)}
    if e.halfway_of:
        return {"checkpoint": at(paths.HALFWAY, encoder=e.halfway_of)}
    check_encoder(
        e.architecture,
        e.pretrained,
        e.file,
        e.weights == "random",
        e.preprocess.model_dump() if e.preprocess else None,
        encoder=w.encoder,
        role=e.role,
        needs=parts_needed(plan.config, w.encoder),
    )
    file = _local_file(e)
    return {"checkpoint": plan.users(file)} if file else {}


def resolving(plan: Plan, w: Wildcards) -> Values:
    """What the weights are asked for by."""
    e = plan.encoder(w.encoder)
    return {
        "encoder": w.encoder,
        "architecture": e.architecture,
        "pretrained": e.pretrained,
        "file": None if _local_file(e) else e.file,
        "random": e.weights == "random",
        "seed": 0,
        "preprocess": e.preprocess and e.preprocess.model_dump(),
        "role": e.role,
    }


def _local_file(e: Encoder) -> str | None:
    """A file of weights that a user names; None if it is another source, or a downloaded folder."""
    path = e.file and os.path.expanduser(e.file)
    return path if path and os.path.isfile(path) else None


def to_embed(plan: Plan, w: Wildcards) -> Paths:
    """Which images, and which weights."""
    index, weights = at(paths.INDEX, dataset=w.dataset), at(paths.WEIGHTS, encoder=w.encoder)
    return {"index": index, "weights": weights}


def embedding(plan: Plan, w: Wildcards) -> Values:
    """How images are embedded. A key at its model's default is left out, so that a new one reruns nothing."""
    return {
        **split_and_transform(plan, w.split),
        **some(plan.config.images, "apply_exif", "max_pixels"),
        **plan.config.embedding.model_dump(exclude={"workers", "tokens_per_image"}, exclude_defaults=True),
        **plan.compute,
        "dataset_root": plan.root(w.dataset),
        "part_index": int(w.part),
        "parts": int(w.parts),
        **({} if block_of(w.site) is None else {"block": block_of(w.site)}),
        **(some(plan.config.embedding, "tokens_per_image") if kind_of(w.site) == "patches" else {}),
    }


def together(plan: Plan, w: Wildcards) -> Values:
    """The other sites that variants read the same images at by the same encoder: one pass serves all."""
    variants = [v for v in plan.config.variants.values() if v.encoder == w.encoder]
    read = {v.site for v in variants if base_name(w.dataset) in (v.dataset, *_learned(v))} - {w.site}
    return {} if "@" in w.split else {site: _site(plan, site) for site in sorted(read)}


def _learned(v: Variant) -> list[str]:
    """Data sets that a variant's SAE learns from, where they are named."""
    return [entry.partition(":")[0] for entry in v.train_on or ()]


def _site(plan: Plan, site: str) -> Values:
    place, block = SITES[kind_of(site)], block_of(site)
    if block is None:
        return {"job": place.entry("embed_images"), "entry": place.entry("SITE"), "arguments": {}}
    some_tokens = some(plan.config.embedding, "tokens_per_image") if kind_of(site) == "patches" else {}
    arguments = {"block": block, **some_tokens}
    return {"job": place.entry("embed_images"), "entry": place.entry("site_at"), "arguments": arguments}


def split_and_transform(plan: Plan, name: str) -> Values:
    """The split that is embedded, and how its images are changed before."""
    split, changed, transform = name.partition("@")
    if not changed:
        return {"split": split}
    known("transforms", transform, plan.config.transforms, f"results/encoders/.../{name}")
    return {"split": split, "transform": plan.config.transforms[transform].model_dump()}


def to_gather(plan: Plan, w: Wildcards) -> Paths:
    """The parts of a split."""
    parts = str(plan.parts(w.dataset))
    names = {"encoder": w.encoder, "site": w.site, "dataset": w.dataset, "split": w.split, "parts": parts}
    found = [at(paths.EMBEDDINGS_PART, **names, part=str(part)) for part in range(int(parts))]
    return {"parts": found, "index": at(paths.INDEX, dataset=w.dataset)}


def to_embed_text(plan: Plan, w: Wildcards) -> Paths:
    """Which classes, and which weights."""
    classes, weights = at(paths.CLASSES, dataset=w.dataset), at(paths.WEIGHTS, encoder=w.encoder)
    return {"classes": classes, "weights": weights}


def to_embed_vocabulary(plan: Plan, w: Wildcards) -> Paths:
    """The same, and the data set's vocabulary, if it is a file."""
    return {**to_embed_text(plan, w), **_names(plan, w.dataset, plan.vocabulary(w.dataset))}


def embedding_vocabulary(plan: Plan, w: Wildcards) -> Values:
    """The data set's vocabulary, if it is a built-in one, with its names as written words."""
    return {
        **_built_in(plan.vocabulary(w.dataset)),
        **_sets(plan, "vocabulary"),
        "written_words": True,
    }


def to_embed_asked(plan: Plan, w: Wildcards) -> Paths:
    """The classes, and the names that hidden concepts are held against, if they come from a file."""
    asked = plan.asked(w.dataset)
    named = _names(plan, w.dataset, asked) if isinstance(asked, str) else {}
    return {**to_embed_text(plan, w), **named}


def embedding_asked(plan: Plan, w: Wildcards) -> Values:
    """The names that hidden concepts are held against, if they are listed or built in."""
    asked = plan.asked(w.dataset)
    listed = _built_in(asked) if isinstance(asked, str) else {"vocabulary": asked}
    return {**listed, **_sets(plan, "vocabulary"), "written_words": False}


def _names(plan: Plan, dataset: str, name: str) -> Paths:
    """The file of a vocabulary, if it is one."""
    if name in BUILT_IN:
        return {}
    if name == "drawn":
        plan.planted(dataset)
        return {"vocabulary": at(paths.VOCABULARY, dataset=base_name(dataset))}
    if name == CAPTIONS:
        return {"vocabulary": at(paths.CAPTION_NAMES, dataset=dataset)}
    file = plan.config.vocabularies[name]
    check_file(f"vocabularies.{name}", file)
    read_lines(Path(file))
    return {"vocabulary": plan.users(file)}


def _built_in(name: str) -> Values:
    return {"vocabulary": name} if name in BUILT_IN else {}


def _sets(plan: Plan, *prompt_sets: str) -> Values:
    return {**plan.compute, "prompt_sets": prompt_sets}


def _texts(*prompt_sets: str) -> dict[str, str | list[str]]:
    """One file per set of prompts."""
    return {"texts": [paths.TEXT.replace("{prompt_set}", name) for name in prompt_sets]}


def at_site(site: str) -> tuple[Stage, ...]:
    """The stages that read an encoder at one site. Their functions are its own: no site reruns another."""
    place = SITES[site]
    part = paths.EMBEDDINGS_PART if place.pattern else paths.EMBEDDINGS_PART.replace("{site}", site)
    embed = Stage(
        name=f"embed_images_{site}" if place.pattern else rule_of("embed_images", site),
        entry=place.entry("embed_images"),
        inputs=to_embed,
        outputs={"part": part},
        folders=("part",),
        constraints={"split": paths.CHANGED_SPLIT, **({"site": place.pattern} if place.pattern else {})},
        settings=embedding,
        untracked=lambda plan, w: {
            **some(plan.config.embedding, "workers"),
            "keep": not plan.is_external(w.dataset) and plan.dataset(w.dataset).planted is None,
        },
        resumes=True,
        together=together,
        memory=lambda s: 10000 + 0.002 * s.images,
        minutes=lambda s: 15 + s.images / (1000 if s.gpu else 150),
        threads=True,
        gpu=True,
        cpus=lambda plan: plan.config.compute.threads + plan.config.embedding.workers,
        message="Embedding {wildcards.dataset}/{wildcards.split} with {wildcards.encoder}, "
        "part {wildcards.part}",
    )
    if place.tail:
        return (embed,)
    export = Stage(
        name=rule_of("export_head", site),
        entry=SITES[site].entry("export_head"),
        inputs=lambda plan, w: {"weights": at(paths.WEIGHTS, encoder=w.encoder)},
        outputs={"head": paths.HEAD.replace("{site}", site)},
        memory=8000,
        message="Exporting the head of {wildcards.encoder}",
    )
    return embed, export


# Names and templates are separate jobs, so that other templates do not rerun what only needs names.
EMBED_TEXT = Stage(
    name="embed_text",
    entry="reliance.encoders.text:embed_text",
    inputs=to_embed_text,
    outputs=_texts("short", "extended", "words"),
    settings=lambda plan, w: _sets(plan, "short", "extended", "words"),
    memory=8000,
    minutes=30,
    threads=True,
    gpu=True,
    message="Embedding the class names of {wildcards.dataset} with {wildcards.encoder}",
)

STAGES = (
    Stage(
        name="resolve_weights",
        entry="reliance.encoders.weights:resolve_weights",
        inputs=to_resolve,
        outputs={"weights": paths.WEIGHTS},
        settings=resolving,
        untracked=lambda plan, w: {"needs": parts_needed(plan.config, w.encoder)},
        memory=8000,
        minutes=60,
        local=True,
        # Of the usual family only: what others say is recorded, so that a new one reruns nothing.
        also=(f"{FAMILIES['vision_transformer']}:FAMILY",),
        message="Finding the weights of {wildcards.encoder}",
    ),
    *(stage for site in SITES for stage in at_site(site)),
    Stage(
        name="gather_embeddings",
        entry="reliance.encoders.gather:gather_embeddings",
        inputs=to_gather,
        outputs={"manifest": paths.EMBEDDINGS},
        constraints={"split": paths.CHANGED_SPLIT},
        untracked=lambda plan, w: some(plan.config.images, "max_invalid"),
        message="Gathering the embeddings of {wildcards.dataset}/{wildcards.split} by {wildcards.encoder}",
    ),
    EMBED_TEXT,
    EMBED_TEXT._replace(
        name="embed_templates",
        outputs=_texts("templated", "both"),
        settings=lambda plan, w: {**_sets(plan, "templated", "both"), "templates": plan.config.templates},
        message="Embedding the templates of {wildcards.dataset} with {wildcards.encoder}",
    ),
    EMBED_TEXT._replace(
        name="embed_vocabulary",
        inputs=to_embed_vocabulary,
        outputs=_texts("vocabulary"),
        settings=embedding_vocabulary,
        message="Embedding the vocabulary of {wildcards.dataset} with {wildcards.encoder}",
    ),
    EMBED_TEXT._replace(
        name="embed_asked",
        inputs=to_embed_asked,
        outputs=_texts("asked"),
        settings=embedding_asked,
        message="Embedding the names that hidden concepts are held against with {wildcards.encoder}",
    ),
    EMBED_TEXT._replace(
        name="embed_definitions",
        outputs=_texts("definition"),
        settings=lambda plan, w: _sets(plan, "definition"),
        message="Embedding what the classes of {wildcards.dataset} show with {wildcards.encoder}",
    ),
)
