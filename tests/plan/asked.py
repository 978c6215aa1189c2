"""What Snakemake asks of a plan: every stage with the names that its jobs have."""

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from reliance.config.sites import SITES
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stage import Stage
from reliance.plan.stages import STAGES

ANY = {"split": ["test", "train@red_more"], "part": ["0"], "parts": ["2"]}
ANY |= {
    "attributed": ["subset", "test"],
    "basis": ["neurons", "pca", "random", "untrained"],
    "block": ["1", "-2"],
    "site": [*(SITES.keys() - {"block", "patches"}), "block-2", "block-2-patches"],
}


def merged(*configs: dict[str, Any]) -> dict[str, Any]:
    """Configurations over each other, as Snakemake merges them."""
    found: dict[str, Any] = {}
    for config in configs:
        for name, value in config.items():
            both = isinstance(value, dict) and isinstance(found.get(name), dict)
            found[name] = merged(found[name], value) if both else copy.deepcopy(value)
    return found


def names_of(plan: Plan, stage: Stage, variant: str) -> list[Wildcards]:
    """The jobs that a stage has for a variant, whether it can have them or not."""
    v = plan.variant(variant)
    encoders = [name for name in (v.encoder, v.labeller) if name]
    values = {"variant": [variant], "encoder": encoders, "dataset": [v.dataset, *v.external], **ANY}
    values["comparison"] = [name for name, of in plan.config.comparisons.items() if variant in of]
    if "site" in stage.constraints:
        values["site"] = [name for name in values["site"] if re.fullmatch(stage.constraints["site"], name)]
    return [
        Wildcards(**dict(zip(stage.wildcards, chosen, strict=True)))
        for chosen in itertools.product(*(values[name] for name in stage.wildcards))
    ]


def questions(plan: Plan, variant: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Everything that is asked to plan every file of a variant, one call each, with what it is about."""
    for stage in STAGES:
        for w in names_of(plan, stage, variant):
            for name in ("inputs", "settings", "untracked"):
                yield f"{stage.name}: {name}", partial(getattr(stage, name), plan, w)
