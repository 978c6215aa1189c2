"""The plain Python of rules/common.smk and rules/inputs.smk, without Snakemake around it.

Everything that is written in Snakemake's own language is left out; what remains are the functions that
decide, from a configuration, which files a job reads and which settings it gets.
"""

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

from reliance.base.errors import RelianceError

ROOT = Path(__file__).parents[2]
DIRECTIVE = re.compile(r"^wildcard_constraints:\n(?:    .*\n)+", flags=re.M)


@functools.cache
def compiled(name: str) -> CodeType:
    text = (ROOT / "rules" / name).read_text()
    return compile(DIRECTIVE.sub("", text), name, "exec")


def evaluate(config: dict[str, Any]) -> dict[str, Any]:
    """Names that the two files define for a configuration.

    A user's error ends the process there; so it does here, as SystemExit with the message.
    """
    workflow = SimpleNamespace(basedir=str(ROOT / "workflow"))
    names = {"sys": sys, "os": os, "Path": Path, "RelianceError": RelianceError, "config": config}
    names |= {"workflow": workflow, "SRC": str(ROOT / "src")}
    for file in ("common.smk", "inputs.smk"):
        exec(compiled(file), names)
    return names


OF_A_VARIANT = (
    "page_of",
    "page_settings",
    "owners_of",
    "external_cases",
    "gallery_cases",
    "case_gallery",
    "review_of",
)
WITH_AN_SAE = ("labels_source", "concepts_of", "concept_gallery", "asked_components", "explained")
OF_AN_ENCODER_ON_A_DATASET = ("named_images", "vocabulary_source", "asked_source", "asked_settings")


def questions(rules: dict[str, Any], name: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """What the rules ask to plan every file of a variant, one call each, with the name of the function."""
    v = rules["variant"](name)
    base, file, config = rules["base_name"](v.dataset), "manifest.json", rules["CONFIG"]
    w = SimpleNamespace(variant=name, dataset=v.dataset, encoder=v.encoder)
    sae = WITH_AN_SAE if v.sae else ()
    for function in (*OF_A_VARIANT, *sae):
        yield function, functools.partial(rules[function], w)
    for function in ("index_source", "index_settings", "vocabulary_settings", *OF_AN_ENCODER_ON_A_DATASET):
        yield function, functools.partial(rules[function], w)
    for encoder in filter(None, (v.encoder, v.labeller)):
        for function in ("weights_source", "weights_settings"):
            yield function, functools.partial(rules[function], SimpleNamespace(encoder=encoder))
    for external in v.external:
        if config.external_lists[external].root:
            asked = SimpleNamespace(dataset=external)
            yield "index_source", functools.partial(rules["index_source"], asked)
            yield "index_settings", functools.partial(rules["index_settings"], asked)
    yield "of_dataset", functools.partial(rules["of_dataset"], w, file)
    yield "part_names", lambda: rules["part_names"](rules["parts_of"](v.dataset))
    yield "first_encoder", functools.partial(rules["first_encoder"], v.dataset)
    if config.datasets[base].planted:
        yield "planted_of", functools.partial(rules["planted_of"], v.dataset)
    yield "default_targets", functools.partial(rules["default_targets"], name)
