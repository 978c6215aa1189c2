"""The sparse autoencoder of a variant."""

from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values
from reliance.units.sae.kinds import DEFAULT, KINDS, Kind, trainable


def to_train(plan: Plan, w: Wildcards) -> Paths:
    """Embeddings to learn from, and held-out ones."""
    trainable(plan.sae(w.variant).kind, f"variants.{base_name(w.variant)}.sae.kind")
    v = plan.variant(w.variant)
    return {
        "embeddings": [plan.embeddings(v.encoder, v.site, dataset, split) for dataset, split in v.train_on],
        "held_out": plan.embedded(w.variant, "test"),
    }


def training(plan: Plan, w: Wildcards) -> Values:
    """Shape, objective and schedule."""
    return {**plan.sae(w.variant).model_dump(), **plan.compute}


def train(name: str, kind: Kind) -> Stage:
    """The stage that trains SAEs of one kind. Its function is its own: no kind reruns another."""
    return Stage(
        name="train_sae" if name == DEFAULT else f"train_sae_of_{name}",
        entry=kind.train,
        variants=lambda plan: plan.of_kind(name),
        inputs=to_train,
        after=lambda plan, w: [at(paths.CHECKED, variant=w.variant)],
        outputs={"sae": paths.SAE, "history": paths.SAE_HISTORY, "quality": paths.SAE_QUALITY},
        settings=training,
        resumes=True,
        memory=lambda s: 4000 + 0.004 * s.train + 0.1 * s.latents,
        minutes=lambda s: 15 + 6e-9 * s.train * s.latents,
        threads=True,
        gpu=True,
        message="Training the sparse autoencoder of {wildcards.variant}",
    )


STAGES = tuple(train(name, kind) for name, kind in KINDS.items() if kind.trained)
