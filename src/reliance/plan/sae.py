"""The sparse autoencoder of a variant."""

from reliance.config.mistakes import invalid, nearest
from reliance.config.sae import SaeImport
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at, base_name
from reliance.plan.plan import Plan
from reliance.plan.stage import Paths, Stage, Values
from reliance.units.sae.activations import ENCODERS
from reliance.units.sae.formats.source import files_of
from reliance.units.sae.formats.table import NAMES
from reliance.units.sae.kinds import DEFAULT, KINDS, Kind, trainable


def to_train(plan: Plan, w: Wildcards) -> Paths:
    """Embeddings to learn from, and held-out ones."""
    trainable(plan.sae(w.variant).kind, f"variants.{base_name(w.variant)}.sae.kind")
    return to_learn_from(plan, w)


def to_learn_from(plan: Plan, w: Wildcards) -> Paths:
    """Embeddings that an SAE is fitted to, and held-out ones."""
    v = plan.variant(w.variant)
    return {
        "embeddings": [plan.embeddings(v.encoder, v.site, dataset, split) for dataset, split in v.train_on],
        "held_out": plan.embedded(w.variant, "test"),
    }


def waiting(plan: Plan, w: Wildcards) -> list[str]:
    """What must be fine before an SAE is trained for hours: the data, and classes and classifier of an audit.

    The same file for every variant: another set of files would train the SAE again.
    """
    return [at(paths.GUARDED, variant=w.variant)]


def training(plan: Plan, w: Wildcards) -> Values:
    """Shape, objective and schedule."""
    return {**plan.sae(w.variant).model_dump(), **plan.compute}


def to_import(plan: Plan, w: Wildcards) -> Paths:
    """The files of an SAE that others trained, and what it is held against. A wrong path is found here."""
    sae, where = plan.sae(w.variant), f"variants.{base_name(w.variant)}.sae"
    if not isinstance(sae, SaeImport):
        raise invalid(where, "an SAE is imported from a file", "no key import", "import: PATH", "add it")
    if sae.format not in NAMES:
        raise invalid(
            f"{where}.format",
            "an SAE is imported in a format that is known",
            sae.format,
            " | ".join(NAMES),
            nearest(sae.format, NAMES),
        )
    return {
        "files": [plan.users(str(path)) for path in files_of(sae.path)],
        "weights": plan.path(paths.WEIGHTS, w.variant),
        **to_learn_from(plan, w),
    }


def importing(plan: Plan, w: Wildcards) -> Values:
    """How the files are read."""
    return {**plan.sae(w.variant).model_dump(exclude={"path"}), **plan.compute}


def train(name: str, kind: Kind) -> Stage:
    """The stage that trains SAEs of one kind. Its function is its own: no kind reruns another."""
    return Stage(
        name="train_sae" if name == DEFAULT else f"train_sae_of_{name}",
        entry=kind.train,
        variants=lambda plan: plan.of_kind(name),
        inputs=to_train,
        after=waiting,
        outputs={"sae": paths.SAE, "history": paths.SAE_HISTORY, "quality": paths.SAE_QUALITY},
        settings=training,
        resumes=True,
        memory=lambda s: 4000 + 0.004 * s.train + 0.1 * s.latents,
        minutes=lambda s: 15 + 6e-9 * s.train * s.latents,
        threads=True,
        gpu=True,
        message="Training the sparse autoencoder of {wildcards.variant}",
    )


STAGES = (
    *(train(name, kind) for name, kind in KINDS.items() if kind.trained),
    Stage(
        name="import_sae_of_others",
        entry="reliance.units.sae.imported:import_sae",
        also=tuple(ENCODERS.values()),
        variants=lambda plan: plan.of_kind("imported"),
        inputs=to_import,
        outputs={"sae": paths.SAE, "quality": paths.SAE_QUALITY},
        settings=importing,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.test / 2000,
        threads=True,
        gpu=True,
        message="Importing the sparse autoencoder of {wildcards.variant}",
    ),
)
