"""Answers as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reliance.explore.shelf import Shelf

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(shelf: Shelf, answer: Any) -> Figure:
    """An answer as a figure."""
    raise NotImplementedError
