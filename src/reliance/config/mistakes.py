"""A mistake in the configuration as one clear error."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from reliance.base.errors import RelianceError

FILE = "config/config.yaml"
GIVEN = f"{FILE}, --configfile or --config"  # where a value may come from


def explain(error: ValidationError, model: type[BaseModel], prefix: tuple[str, ...]) -> RelianceError:
    """The first problem in five parts, the others in a line each.

    Unknown keys come first: one that is misspelt is missing as well.
    """
    problems = error.errors(include_url=False)
    first, *others = sorted(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    loc = tuple(str(part) for part in first["loc"])
    where = ".".join((*prefix, *loc)) or "the whole of it"
    fields = _fields_at(model, loc[:-1])
    if first["type"] == "extra_forbidden":
        rule, found, allowed = "unknown key", loc[-1], ", ".join(fields)
        step = nearest(loc[-1], fields) or "remove it; every key is explained in config/config.yaml"
    else:
        message, _, value = _plain(first["msg"]).partition(", found ")
        rule, allowed = "this value is not valid", message
        found = "nothing" if first["type"] == "missing" else value or first["input"]
        what = "add the key" if first["type"] == "missing" else "correct this value"
        step = f"{what}; config/config.yaml explains it"
    if others:
        rest = [f"{'.'.join((*prefix, *map(str, e['loc'])))}: {_plain(e['msg'])[:200]}" for e in others[:5]]
        step += f"\n  also wrong ({len(others)}): " + "; ".join(rest)
    return RelianceError(f"{GIVEN}: {where}", rule, found=found, allowed=allowed, next_step=step)


def _plain(message: str) -> str:
    words = message.removeprefix("Value error, ")
    return words.replace("Input should be a valid tuple", "a list is needed, such as [a, b]")


def _fields_at(model: Any, loc: tuple[str, ...]) -> list[str]:
    """Names of the keys that the model at a position of the configuration has."""
    for part in loc:
        fields = getattr(model, "model_fields", {})
        model = fields[part].annotation if part in fields else _value_type(model)
    while not hasattr(model, "model_fields"):
        nested = [a for a in get_args(model) if a is not type(None)]
        if not nested:
            return []
        model = nested[-1]
    return list(model.model_fields)


def _value_type(annotation: Any) -> Any:
    return ([a for a in get_args(annotation) if a is not type(None)] or [annotation])[-1]


def nearest(name: str, names: Iterable[str]) -> str:
    """A question that suggests the most similar of some names, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""


def invalid(where: object, rule: str, found: object, allowed: str, step: str) -> RelianceError:
    """An error about a value that pydantic cannot judge alone."""
    return RelianceError(where, rule, found=found, allowed=allowed, next_step=step or "correct this value")
