"""Draw the images that an audited probe learns from (App. E)."""

from reliance.audits.split import split_audit
from reliance.running.job import run

run(snakemake, split_audit)
