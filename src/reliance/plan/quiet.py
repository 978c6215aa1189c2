"""What Snakemake says on its own account after a job has told its user what is wrong, and need not."""

import logging
import re
import warnings

# how jobs of ours end that have told it; a killed one has another status
OURS = re.compile(r"job\.py\S* returned non-zero exit status 1\.")

ABOVE = "its ERROR stands above, and in its log"


def untold(record: logging.LogRecord) -> bool:
    """Whether a record of Snakemake's logger is news: not the line of its own code that started a job.

    The record of a failed job says where the reason stands, in place of None.
    """
    if getattr(record, "rule_msg", "") is None:
        record.rule_msg = ABOVE
    repeated = getattr(record, "exception", None) == "RuleException" and OURS.search(record.getMessage())
    return not repeated


def hush(logger: logging.Logger) -> None:
    """Leave out what is no news; logger : Snakemake's, which asks for sizes of files that are not there."""
    warnings.filterwarnings("ignore", r"coroutine 'InputFiles\._predicated_size_files", RuntimeWarning)
    logger.addFilter(untold)
