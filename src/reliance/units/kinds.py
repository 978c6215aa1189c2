"""The kinds of units by name: one row per kind, the function that opens it.

A job is told the entry point, not the name, and its fingerprint starts there, so that a new kind reruns
nothing. The name is that of the basis in configurations, paths and figures.
"""

import importlib

from reliance.units.protocol import Sources, Units

KINDS = {
    "sae": "reliance.codes.latents:open_latents",
    "neurons": "reliance.units.axes:open_neurons",
    "pca": "reliance.units.axes:open_axes",
    "random": "reliance.units.axes:open_random",
}


def open_units(entry: str, sources: Sources) -> Units:
    """The units that the function `entry`, "package.module:function", opens from sources."""
    module, _, function = entry.partition(":")
    units: Units = getattr(importlib.import_module(module), function)(sources)
    return units
