"""One message for a mistake: Snakemake's own account of it is left out, and nothing else."""

import logging

import pytest

from reliance.plan.quiet import ABOVE, untold

ENDED = "RuleException:\nCalledProcessError in file \"jobs.smk\", line 40:\nCommand 'python job.py' "


@pytest.mark.parametrize(
    ("exception", "text", "news"),
    [
        ("RuleException", ENDED + "returned non-zero exit status 1.", False),
        ("RuleException", ENDED + "died with <Signals.SIGKILL: 9>.", True),
        ("WorkflowError", "at least one job returned non-zero exit status 1.", True),
        (None, "returned non-zero exit status 1.", True),
    ],
)
def test_only_the_excerpt_of_snakemakes_code_is_left_out(
    exception: str | None, text: str, news: bool
) -> None:
    record = logging.LogRecord("snakemake", logging.ERROR, "", 0, text, (), None)
    if exception:
        record.exception = exception
    assert untold(record) == news


@pytest.mark.parametrize(("said", "shown"), [(None, ABOVE), ("out of memory", "out of memory")])
def test_a_failed_job_says_where_its_reason_stands(said: str | None, shown: str) -> None:
    record = logging.LogRecord("snakemake", logging.ERROR, "", 0, "Error in rule x", (), None)
    record.rule_msg = said
    assert untold(record) and record.rule_msg == shown
