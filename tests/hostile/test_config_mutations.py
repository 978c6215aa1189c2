"""A thousand broken configurations: each is valid or ends in one clear error, never in a traceback."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from tests.plan.asked import questions

from reliance.base.errors import RelianceError
from reliance.config.models import Config
from reliance.config.resolve import dataset_of, load, resolve
from reliance.plan.plan import Plan

from .mutations import SUBTLY, SUFFIX, WILDLY, mutated

EXAMPLES = 1000


def clear(error: RelianceError) -> None:
    """Five parts, each said, in characters that a terminal can show; the first one names a key or file."""
    parts = error.where, error.rule, error.allowed, error.next_step, error.found
    assert all(part.strip() for part in parts[:4]), error.args
    assert all(c.isprintable() or c == "\n" for c in str(error))
    assert len(str(error)) < 20_000
    str(error).encode()
    named = error.where.rpartition(": ")[2]
    assert named


def seldom(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@seldom(EXAMPLES // 2)
@given(mutations=WILDLY)
def test_a_configuration_in_disorder_is_valid_or_one_clear_error(mutations: list[Any]) -> None:
    check(mutated(mutations), "")


@seldom(EXAMPLES // 2)
@given(mutations=SUBTLY, suffix=SUFFIX)
def test_a_configuration_that_is_nearly_right_is_valid_or_one_clear_error(
    mutations: list[Any], suffix: str
) -> None:
    check(mutated(mutations), suffix)


def check(raw: dict[str, Any], suffix: str) -> None:
    """Load, resolve and plan: a result, or one clear error."""
    try:
        config = load(raw)
    except RelianceError as error:
        clear(error)
        return
    for name in config.variants:
        assert resolve(config, name).name == name
        dataset_of(config, resolve(config, name).dataset)
    first = next(iter(config.variants), "none") + suffix
    try:
        dataset_of(config, resolve(config, first).dataset)
    except RelianceError as error:
        clear(error)
        return
    if config.variants:
        # One variant of each configuration, another of the next.
        ask(config, first if suffix else sorted(config.variants)[len(str(raw)) % len(config.variants)])


def ask(config: Config, variant: str) -> None:
    """What Snakemake asks of a valid configuration has an answer or one clear error."""
    for what, question in questions(Plan(config), variant):
        try:
            question()
        except RelianceError as error:
            clear(error)
            assert error.next_step, what
