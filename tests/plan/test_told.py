"""A user's mistake ends planning with one message and nothing after it."""

import gc
import warnings

import pytest

from reliance.base.errors import RelianceError
from reliance.plan.wiring import told


async def waited_for() -> None:
    """What Snakemake has begun when an error ends it."""


def mistaken() -> None:
    raise RelianceError("key", "a rule", found="x", allowed="y", next_step="write y")


def test_coroutines_that_were_not_begun_are_no_news() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(SystemExit, match="ERROR key"):
            told(mistaken)()
        waited_for()  # type: ignore[unused-coroutine]
        gc.collect()
    assert not [str(w.message) for w in caught]
