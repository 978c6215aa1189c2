"""How much each active component drives the output for an image's own class (Eqs. 3, 5 and 6)."""

from reliance.config.sites import HEAD, NETWORK, PATCHES, SITES, block_of, kind_of
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan, some
from reliance.plan.sizes import Size
from reliance.plan.stage import Paths, Stage, Values, in_blocks
from reliance.units.kinds import KINDS
from reliance.units.sae.activations import ENCODERS

NETWORKS = {"network": (NETWORK, 256), "patches": (PATCHES, 64)}  # their tails, images held at a time


def explained(plan: Plan, variant: str, split: str) -> Paths:
    """What every attribution is computed from."""
    plan.check_classes(plan.variant(variant).dataset)
    network = SITES[kind_of(plan.variant(variant).site)].tail
    rest = {"weights": paths.WEIGHTS} if network else {"head": paths.HEAD}
    return {
        "index": plan.path(paths.INDEX, variant),
        "embeddings": plan.embedded(variant, split),
        "codes": at(paths.CODES, variant=variant, split=split),
        "sae": at(paths.SAE, variant=variant),
        **{name: plan.path(path, variant) for name, path in rest.items()},
        "text": plan.path(paths.TEXT, variant, prompt_set=plan.variant(variant).failures.prompt_set),
    }


def attributed_split(w: Wildcards) -> str:
    """The split a table of attributions reads: the subset is a view of train."""
    return "train" if w.attributed == "subset" else "test"


def attributing(plan: Plan, w: Wildcards) -> Values:
    """Which images."""
    every_nth = plan.variant(w.variant).failures.every_nth if w.attributed == "subset" else 1
    return {"split": attributed_split(w), "every_nth": every_nth, **plan.compute}


def again(plan: Plan, w: Wildcards) -> Values:
    """How images go through the network again, where the site has no closed form behind it."""
    v = plan.variant(w.variant)
    images = some(plan.config.images, "apply_exif", "max_pixels")
    jpeg = some(plan.config.embedding, "jpeg_decoding")
    place = {"network": SITES[kind_of(v.site)].tail, "block": block_of(v.site)}
    return {**place, **images, **jpeg, "dataset_root": plan.root(v.dataset)}


def by_tail(stage: Stage) -> tuple[Stage, ...]:
    """A stage that asks for the rest of a model: in closed form, and by running it."""
    closed = stage._replace(variants=lambda plan: plan.behind(HEAD))
    return closed, *(_by_network(stage, name, *row) for name, row in NETWORKS.items())


def _by_network(stage: Stage, name: str, tail: str, rows: int) -> Stage:
    """A stage that runs the rest of a model, on some images at a time."""

    def fewer(plan: Plan, w: Wildcards) -> Values:
        return {"block_rows": min(plan.config.compute.block_rows, rows)}

    def minutes(size: Size) -> float:
        return 60 + 10 * (stage.minutes(size) if callable(stage.minutes) else stage.minutes)

    return stage._replace(
        name=f"{stage.name}_{name}",
        variants=lambda plan: plan.behind(tail),
        also=(*stage.also, tail, *(ENCODERS.values() if tail == PATCHES else ())),
        settings=lambda plan, w: {**stage.settings(plan, w), **again(plan, w)},
        untracked=fewer,
        minutes=minutes,
        memory=lambda s: 8000 + (stage.memory(s) if callable(stage.memory) else stage.memory),
    )


def to_predict(plan: Plan, w: Wildcards) -> Paths:
    """The same of the test split, and what classes and components are called."""
    return {
        **explained(plan, w.variant, "test"),
        "classes": plan.path(paths.CLASSES, w.variant),
        "components": at(paths.COMPONENTS, variant=w.variant),
        "named_by": at(paths.CODES, variant=w.variant, split="train"),
    }


ATTRIBUTE = by_tail(
    Stage(
        name="attribute_split",
        entry="reliance.attribution.table:attribute_split",
        inputs=lambda plan, w: explained(plan, w.variant, attributed_split(w)),
        outputs={"attributions": paths.ATTRIBUTIONS, "outputs": paths.OUTPUTS},
        also=(KINDS["sae"],),
        constraints={"attributed": "subset|test"},
        settings=attributing,
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.images / 25000,
        threads=True,
        gpu=True,
        message="Attributing the outputs of {wildcards.variant} on {wildcards.attributed}",
    )
)
PREDICT = by_tail(
    Stage(
        name="explain_predictions",
        entry="reliance.attribution.predictions:explain_predictions",
        inputs=to_predict,
        outputs={"predictions": paths.PREDICTIONS},
        also=(KINDS["sae"],),
        settings=lambda plan, w: {"split": "test", **plan.compute},
        untracked=in_blocks,
        memory=lambda s: 4000 + 0.1 * s.latents,
        minutes=lambda s: 10 + s.images / 12000,
        threads=True,
        gpu=True,
        message="Explaining the predictions of {wildcards.variant}",
    )
)
STAGES = (*ATTRIBUTE, *PREDICT)
