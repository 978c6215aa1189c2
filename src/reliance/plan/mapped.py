"""Galleries with maps of units over images, where `galleries.maps` asks for them: what makes the maps."""

from reliance.config.sites import kind_of
from reliance.plan import paths
from reliance.plan.paths import at
from reliance.plan.plan import Plan, some
from reliance.plan.stage import Paths, Values

MAPPED = (
    "class_token",
    "block",
    "patches",
)  # sites whose units have maps (as lens.unit_maps says)


def has_maps(plan: Plan, name: str) -> bool:
    """Whether galleries of a variant's units show maps; units of an image embedding have none."""
    v = plan.variant(name)
    return plan.config.galleries.maps and bool(v.sae) and kind_of(v.site) in MAPPED


def mapped(plan: Plan, name: str) -> Paths:
    """The model and the SAE whose units are mapped."""
    if not has_maps(plan, name):
        return {}
    return {"weights": plan.path(paths.WEIGHTS, name), "sae": at(paths.SAE, variant=name)}


def mapping(plan: Plan, name: str) -> Values:
    """Where the units are read, and how the images that go through the model are decoded."""
    if not has_maps(plan, name):
        return {}
    return {"site": plan.variant(name).site, **some(plan.config.embedding, "jpeg_decoding")}
