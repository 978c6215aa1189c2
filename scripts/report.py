"""One page per variant: figures, findings, cases, and where all of it comes from."""

from reliance.jobs import run
from reliance.report.page import report

run(snakemake, report)
