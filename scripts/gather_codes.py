"""Gather the parts of an encoded split into a manifest."""

from reliance.codes.store import gather_codes
from reliance.jobs import run

run(snakemake, gather_codes)
