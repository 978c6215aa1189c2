"""Sparse codes of every image, and the strongest images of every component."""

from reliance.config.sites import block_of
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.sae.kinds import DEFAULT, KINDS, Kind


def to_encode(plan: Plan, w: Wildcards) -> Paths:
    """Embeddings, and what takes them apart."""
    return {"embeddings": plan.embedded(w.variant, w.split), "sae": at(paths.SAE, variant=w.variant)}


def encoding(plan: Plan, w: Wildcards) -> Values:
    """Which part, and how SAEs of this kind are applied."""
    encoders = KINDS[plan.sae(w.variant).kind].encoders
    encoder = encoders[0] if len(encoders) == 1 else [*encoders]
    return {"part_index": int(w.part), "parts": int(w.parts), "encoder": encoder, **plan.compute}


def to_encode_patches(plan: Plan, w: Wildcards) -> Paths:
    """The same, and the images and the model: patches are made again."""
    return {
        **to_encode(plan, w),
        "index": plan.path(paths.INDEX, w.variant),
        "weights": plan.path(paths.WEIGHTS, w.variant),
    }


def encoding_patches(plan: Plan, w: Wildcards) -> Values:
    """The same, how images are read, and how patches are pooled."""
    v, sae = plan.variant(w.variant), plan.sae(w.variant)
    return {
        **encoding(plan, w),
        **some(plan.config.images, "apply_exif", "max_pixels"),
        **some(plan.config.embedding, "jpeg_decoding", "precision", "batch_size", "chunk_rows"),
        "dataset_root": plan.root(v.dataset),
        "split": w.split,
        "block": block_of(v.site),
        "pooling": v.pooling,
        "pooled_width": sae.max_active,
    }


def to_gather(plan: Plan, w: Wildcards) -> Paths:
    """The parts of a split."""
    parts = str(plan.parts(plan.variant(w.variant).dataset))
    names = {"variant": w.variant, "split": w.split, "parts": parts}
    return {"parts": [at(paths.CODES_PART, **names, part=str(part)) for part in range(int(parts))]}


def encode(name: str, kind: Kind) -> Stage:
    """The stage that applies SAEs of one kind."""
    return Stage(
        name="encode" if name == DEFAULT else f"encode_of_{name}",
        entry="reliance.codes.encode:encode_part",
        also=kind.encoders,
        variants=lambda plan: plan.of_kind(name, patches=False),
        inputs=to_encode,
        outputs={"part": paths.CODES_PART},
        folders=("part",),
        settings=encoding,
        untracked=in_blocks,
        resumes=True,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.images / 2000,
        threads=True,
        gpu=True,
        message="Encoding the split {wildcards.split} of {wildcards.variant}, part {wildcards.part}",
    )


def encode_patches(name: str, kind: Kind) -> Stage:
    """The stage that applies SAEs of one kind to the patches of images, while the model runs."""
    return encode(name, kind)._replace(
        name="encode_patches" if name == DEFAULT else f"encode_patches_of_{name}",
        entry="reliance.codes.patches:encode_patches",
        variants=lambda plan: plan.of_kind(name, patches=True),
        inputs=to_encode_patches,
        settings=encoding_patches,
        untracked=lambda plan, w: some(plan.config.embedding, "workers"),
        memory=lambda s: 10000 + 0.1 * s.latents,
        minutes=lambda s: 15 + s.images / (1000 if s.gpu else 100),
        cpus=lambda plan: plan.config.compute.threads + plan.config.embedding.workers,
        message="Encoding the patches of {wildcards.split} of {wildcards.variant}, part {wildcards.part}",
    )


STAGES = (
    *(stage(name, kind) for name, kind in KINDS.items() for stage in (encode, encode_patches)),
    Stage(
        name="gather_codes",
        entry="reliance.codes.store:gather_codes",
        inputs=to_gather,
        outputs={"manifest": paths.CODES},
        message="Gathering the codes of the split {wildcards.split} of {wildcards.variant}",
    ),
    Stage(
        name="top_samples",
        entry="reliance.codes.top_samples:top_samples",
        inputs=lambda plan, w: {"codes": at(paths.CODES, variant=w.variant, split="train")},
        outputs={"top_samples": paths.TOP_SAMPLES},
        settings=lambda plan, w: {"count": plan.config.naming.stored},
        untracked=in_blocks,
        memory=lambda s: 3000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.train / 30000,
        message="Collecting the strongest images of every component of {wildcards.variant}",
    ),
)
