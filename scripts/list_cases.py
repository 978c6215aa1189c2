"""Turn flags into failure cases with a suggested kind, apply the review."""

from reliance.failures.cases import list_cases
from reliance.running.job import run

run(snakemake, list_cases)
