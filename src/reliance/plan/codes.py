"""Sparse codes of every image, and the strongest images of every component."""

from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan
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
        variants=lambda plan: plan.of_kind(name),
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


STAGES = (
    *(encode(name, kind) for name, kind in KINDS.items()),
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
