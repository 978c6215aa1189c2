"""A user's mistake ends planning with one message and nothing after it."""

import gc
import warnings

import pytest

from reliance.base.commands import COMMAND
from reliance.base.errors import RelianceError
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stages import STAGES
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


def test_a_page_comes_with_what_opens_its_variant(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, "snakemake results/tiny/report.html --configfile mine.yaml --cores 2")
    stages, w = {stage.name: stage for stage in STAGES}, Wildcards(variant="tiny")
    for page in ("report", "report_of_unlabelled"):
        along = stages[page].along
        assert along is not None and along(plan, w) == ["results/tiny/variant.json"]
    assert stages["describe_variant"].untracked(plan, w) == {"options": "--configfile mine.yaml"}
    compared = stages["describe_variant"].settings(plan, w)
    assert "options" not in compared, "another name of a file reruns nothing"
