"""One page per variant: figures, findings, cases, and where all of it comes from."""

from reliance.report.page import report
from reliance.running.job import run

run(snakemake, report)
