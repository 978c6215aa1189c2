"""Entry points by name: "package.module:name", as the tables of kinds give them."""

import importlib
from typing import Any


def imported(entry: str) -> Any:
    """What an entry point names, its module imported. Raises ImportError or AttributeError."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)
