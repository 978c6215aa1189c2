"""Mean and spread of every component's relevance within each class (Eq. 8)."""

from reliance.failures.expectation import expectations
from reliance.running.job import run

run(snakemake, expectations)
