"""Train a top-k sparse autoencoder on class tokens (Eqs. 1, 9, 10)."""

from reliance.jobs import run
from reliance.sae.train import train_sae

run(snakemake, train_sae)
