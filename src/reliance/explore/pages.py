"""Answers as HTML."""

from typing import Any

from reliance.explore.shelf import Shelf


def page(shelf: Shelf, answer: Any) -> str:
    """An answer as a page of its own."""
    raise NotImplementedError


def part(shelf: Shelf, answer: Any) -> str:
    """An answer as a part of a page."""
    return str(answer.table().to_html(escape=True))
