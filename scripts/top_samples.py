"""Collect the strongest images of every component."""

from reliance.codes.top_samples import top_samples
from reliance.running.job import run

run(snakemake, top_samples)
