"""Draw the images that an audited probe learns from (App. E)."""

from reliance.casestudy.split import split_audit
from reliance.jobs import run

run(snakemake, split_audit)
