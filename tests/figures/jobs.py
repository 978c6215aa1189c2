"""Figures as jobs call them: with keywords that are packed into what the functions take."""

import functools
from collections.abc import Callable

from reliance.running.job import bundled


def as_job(function: Callable[..., object]) -> Callable[..., object]:
    """The function, called as its job would."""

    @functools.wraps(function)
    def call(**keywords: object) -> object:
        return function(**bundled(function, keywords))

    return call
