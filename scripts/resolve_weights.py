"""Find an encoder's weights and record what they are."""

from reliance.encoders.weights import resolve_weights
from reliance.running.job import run

run(snakemake, resolve_weights)
