"""Read a folder of cases found elsewhere into the miner's format."""

from reliance.failures.external import list_external
from reliance.running.job import run

run(snakemake, list_external)
