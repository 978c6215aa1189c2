"""Gather the parts of an encoded split into a manifest."""

from reliance.codes.store import gather_codes
from reliance.running.job import run

run(snakemake, gather_codes)
