"""Train a top-k sparse autoencoder on class tokens (Eqs. 1, 9, 10)."""

from reliance.running.job import run
from reliance.units.sae.top_k import train

run(snakemake, train)
