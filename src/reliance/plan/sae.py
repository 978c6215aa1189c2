"""The sparse autoencoder of a variant."""

from reliance.plan import paths
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values


def to_train(plan: Plan, w: Wildcards) -> Paths:
    """Embeddings to learn from, and held-out ones."""
    plan.sae(w.variant)
    v = plan.variant(w.variant)
    return {
        "embeddings": [plan.embeddings(v.encoder, dataset, split) for dataset, split in v.train_on],
        "held_out": plan.embedded(w.variant, "test"),
    }


def training(plan: Plan, w: Wildcards) -> Values:
    """Shape, objective and schedule."""
    return {**plan.sae(w.variant).model_dump(), **plan.compute}


STAGES = (
    Stage(
        name="train_sae",
        entry="reliance.units.sae.train:train_sae",
        inputs=to_train,
        outputs={"sae": paths.SAE, "history": paths.SAE_HISTORY, "quality": paths.SAE_QUALITY},
        settings=training,
        resumes=True,
        memory=lambda s: 4000 + 0.004 * s.train + 0.1 * s.latents,
        minutes=lambda s: 15 + 6e-9 * s.train * s.latents,
        threads=True,
        gpu=True,
        message="Training the sparse autoencoder of {wildcards.variant}",
    ),
)
