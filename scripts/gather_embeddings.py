"""Gather the parts of an embedded split into a manifest."""

from reliance.encoders.gather import gather_embeddings
from reliance.running.job import run

run(snakemake, gather_embeddings)
